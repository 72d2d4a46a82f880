"""Reads the memory and CPU time of a system's parts from /proc. Without /proc, both are 0."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
#: Seconds of a clock tick, the unit of CPU time in /proc.
TICK_S = 1 / os.sysconf("SC_CLK_TCK")

#: A function that returns the process ids of each part, by name. It is called for each sample,
#: because parts may be restarted.
Parts = Callable[[], Mapping[str, Iterable[int]]]


@dataclass(frozen=True, slots=True)
class Sample:
    """The memory and the CPU time of all parts at one moment."""

    #: Monotonic time, in seconds.
    time: float
    #: Proportional set size by part, in bytes: memory that processes share is divided among them.
    pss: Mapping[str, int]
    #: CPU time by part since the previous sample, in cores.
    cpu: Mapping[str, float]


class Meter:
    """Samples the memory and the CPU time of the parts of one system."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._last: tuple[float, dict[int, float]] = (time.monotonic(), {})

    def sample(self) -> Sample:
        """Returns a sample: the memory now, and the CPU time since the previous sample."""
        parts = {name: list(pids) for name, pids in self._parts().items()}
        now, before = time.monotonic(), self._last
        used = {pid: cpu_seconds(pid) for pids in parts.values() for pid in pids}
        self._last = (now, used)
        passed = now - before[0]
        cpu = {
            name: sum(used[pid] - before[1].get(pid, used[pid]) for pid in pids) / passed
            for name, pids in parts.items()
        }
        return Sample(now, {name: sum(map(pss, pids)) for name, pids in parts.items()}, cpu)


def pss(pid: int) -> int:
    """Returns the proportional set size of a process in bytes; 0 once the process has ended.

    This size is the memory that the process uses. Shared memory is divided among the processes that
    share it.
    """
    try:
        rollup = (PROC / str(pid) / "smaps_rollup").read_text()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return 0
    return 1024 * int(rollup.split("Pss:")[1].split()[0])


def cpu_seconds(pid: int) -> float:
    """Returns the CPU seconds that a process has used; 0 once the process has ended."""
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) * TICK_S if fields else 0.0


def machine_seconds() -> float:
    """Returns the CPU seconds that the machine has used so far; 0 without /proc."""
    try:
        fields = (PROC / "stat").read_text().split("\n", 1)[0].split()[1:]
    except FileNotFoundError:
        return 0.0
    user, nice, system, _idle, _iowait, irq, softirq = map(int, fields[:7])
    return (user + nice + system + irq + softirq) * TICK_S


def own_seconds() -> float:
    """Returns the CPU seconds that this process and its descendants have used so far."""
    times = os.times()
    ended = times.children_user + times.children_system
    return ended + sum(cpu_seconds(pid) for pid in tree(os.getpid()))


def tree(pid: int) -> list[int]:
    """Returns ``pid`` and the ids of all its descendants."""
    parent = {int(p.name): _parent(int(p.name)) for p in PROC.glob("[0-9]*")}
    found = [pid]
    for ancestor in found:  # the loop appends to the list that it reads
        found.extend(child for child, of in parent.items() if of == ancestor)
    return found


def _parent(pid: int) -> int:
    fields = _stat(pid)
    return int(fields[1]) if fields else 0


def _stat(pid: int) -> list[str]:
    """Returns the fields of /proc/PID/stat after the command's name; empty if the process ended."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []
