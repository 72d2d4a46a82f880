"""Memory and CPU time of a system's parts, read from /proc; nothing where there is none."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
TICK_S = 1 / os.sysconf("SC_CLK_TCK")

#: The processes of each part, by its name; asked anew each time, as parts may be restarted.
Parts = Callable[[], Mapping[str, Iterable[int]]]


@dataclass(frozen=True, slots=True)
class Sample:
    """One look."""

    #: Monotonic, in seconds.
    time: float
    #: Proportional set size by part, in bytes: memory that is shared is shared out.
    pss: Mapping[str, int]
    #: CPU time by part since the look before, in cores.
    cpu: Mapping[str, float]


class Meter:
    """Looks at the parts of one system."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._last: tuple[float, dict[int, float]] = (time.monotonic(), {})

    def look(self) -> Sample:
        """Returns what the parts use now."""
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
    """Returns the proportional set size in bytes, 0 for a process that is gone."""
    try:
        rollup = (PROC / str(pid) / "smaps_rollup").read_text()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return 0
    return 1024 * int(rollup.split("Pss:")[1].split()[0])


def cpu_seconds(pid: int) -> float:
    """Returns the CPU time used so far, 0 for a process that is gone."""
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) * TICK_S if fields else 0.0


def machine_seconds() -> float:
    """Returns the CPU time that all of the machine used so far, 0 where that is not told."""
    try:
        fields = (PROC / "stat").read_text().split("\n", 1)[0].split()[1:]
    except FileNotFoundError:
        return 0.0
    user, nice, system, _idle, _iowait, irq, softirq = map(int, fields[:7])
    return (user + nice + system + irq + softirq) * TICK_S


def own_seconds() -> float:
    """Returns the CPU time that this process and all that descend from it used so far."""
    ended = os.times()
    gone = ended.children_user + ended.children_system
    return gone + sum(cpu_seconds(pid) for pid in tree(os.getpid()))


def tree(pid: int) -> list[int]:
    """Returns ``pid`` and all that descend from it."""
    parent = {int(p.name): _parent(int(p.name)) for p in PROC.glob("[0-9]*")}
    found = [pid]
    for ancestor in found:  # grows while it is read
        found.extend(child for child, of in parent.items() if of == ancestor)
    return found


def _parent(pid: int) -> int:
    fields = _stat(pid)
    return int(fields[1]) if fields else 0


def _stat(pid: int) -> list[str]:
    """Returns the fields after the command's name, which may hold anything; none if it is gone."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []
