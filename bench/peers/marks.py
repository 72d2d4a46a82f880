"""The processes of a run, found by the mark in their environment; Linux only."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")


class Process(NamedTuple):
    """What ``/proc`` tells of a process."""

    parent: int
    #: Its command line or title, words separated by spaces.
    command: str


def processes(run: str) -> dict[int, Process]:
    """Returns all processes that were started with ``BENCH_RUN=run``, in whatever session.

    Their descendants count, too: one that gives itself a title overwrites its environment.
    """
    everything: dict[int, Process] = {}
    found: set[int] = set()
    mark = f"BENCH_RUN={run}".encode()
    for entry in PROC.glob("[0-9]*"):
        try:
            status = (entry / "stat").read_text().rpartition(")")[2].split()
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            environment = _environment(entry)
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended while we looked
        if status[0] == "Z":
            continue  # it has ended, and only its parent has not noticed
        pid = int(entry.name)
        everything[pid] = Process(int(status[1]), command)
        if mark in environment:
            found.add(pid)
    fresh = found
    while fresh:
        fresh = {pid for pid, process in everything.items() if process.parent in fresh} - found
        found = found | fresh
    return {pid: everything[pid] for pid in sorted(found)}


def _environment(entry: Path) -> list[bytes]:
    try:
        return (entry / "environ").read_bytes().split(b"\0")
    except PermissionError:
        return []  # another user's, and so none of ours
