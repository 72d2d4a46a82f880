"""Finds the processes of a peer's run by a variable in their environment. Linux only."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")


class Process(NamedTuple):
    """A process's command line and the id of its parent process, read from ``/proc``."""

    parent: int
    #: The command line or title, with spaces between the words.
    command: str


def processes(run: str) -> dict[int, Process]:
    """Returns the processes started with ``BENCH_RUN=run`` and their descendants, by process id."""
    everything: dict[int, Process] = {}
    found: set[int] = set()
    mark = f"BENCH_RUN={run}".encode()
    for entry in PROC.glob("[0-9]*"):
        try:
            status = (entry / "stat").read_text().rpartition(")")[2].split()
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            environment = _environment(entry)
        except (FileNotFoundError, ProcessLookupError):
            continue  # the process ended meanwhile
        if status[0] == "Z":
            continue  # a zombie
        pid = int(entry.name)
        everything[pid] = Process(int(status[1]), command)
        if mark in environment:
            found.add(pid)
    # A process that sets its title overwrites its environment, so BENCH_RUN may be gone. Such a
    # process is found as a descendant.
    fresh = found
    while fresh:
        fresh = {pid for pid, process in everything.items() if process.parent in fresh} - found
        found = found | fresh
    return {pid: everything[pid] for pid in sorted(found)}


def _environment(entry: Path) -> list[bytes]:
    try:
        return (entry / "environ").read_bytes().split(b"\0")
    except PermissionError:
        return []  # the process is another user's
