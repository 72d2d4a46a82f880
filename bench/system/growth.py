"""Detects whether the memory or the open files of a process grow while a load runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bench.system.system import Started
from bench.system.usage import PROC, pss

#: Seconds between two samples of memory and open files.
LOOK_S = 5.0
#: Seconds of a process's life that do not count, because its caches fill then.
SETTLE_S = 45.0
#: A process is judged only if it has at least this number of samples after ``SETTLE_S``.
LOOKS = 6
#: Megabytes a minute up to which memory does not count as growing. In the soak test, a part lives
#: only for a minute or two.
MEGABYTES = 5.0
#: Open files a minute up to which their number does not count as growing.
FILES = 5.0
#: Megabytes a minute that are allowed for parts that grow, but not for ever. Requests that wait
#: during a freeze need memory, and the api keeps that memory. The api grows less at each freeze: by
#: 11, 4 and 1 MB at three freezes. Valkey keeps each answer for a day, until its memory is full. An
#: answer takes 270 bytes, and the soak test has 12,000 answers a minute.
LEVELLING = {"api": 8.0, "valkey": 8.0}
#: The part whose growth is shown, but not judged: celery-exporter. It grows until it has stored
#: 10,000 tasks. It never gets so far, because it restarts whenever Valkey is killed.
FILLING = "exporter"
UNKNOWN = "no process of it was seen for long enough to tell whether it grows"


@dataclass(slots=True)
class Watch:
    """Collects samples of the memory and of the open files of Byline's processes."""

    #: The samples of each part and process id: monotonic seconds, bytes, and number of open files.
    looks: dict[tuple[str, int], list[tuple[float, int, int]]] = field(default_factory=dict)

    def sample(self, system: Started) -> None:
        """Takes a sample of the first process of each part."""
        now = time.monotonic()
        clients = _sockets(system.target.port)
        for part, pids in system.parts().items():
            if files := _files(pids[0], clients):
                entry = (now, pss(pids[0]), files)
                self.looks.setdefault((part, pids[0]), []).append(entry)

    def run(self, system: Started, over: threading.Event) -> None:
        """Takes a sample every ``LOOK_S`` seconds until ``over`` is set."""
        while not over.wait(LOOK_S):
            self.sample(system)

    def growth(self) -> dict[str, tuple[float, float] | None]:
        """Returns the growth of each part, in megabytes a minute and in open files a minute.

        A part's growth is None if each of its processes was seen for too short a time.
        """
        found: dict[str, list[NDArray[np.float64]]] = {part: [] for part, _ in self.looks}
        for (part, _), looks in self.looks.items():
            settled = [look for look in looks if look[0] >= looks[0][0] + SETTLE_S]
            if len(settled) >= LOOKS:
                found[part].append(np.array(settled, np.float64))
        return {
            part: (slope(each, 1) * 60 / 1e6, slope(each, 2) * 60) if each else None
            for part, each in found.items()
        }


def slope(processes: Sequence[NDArray[np.float64]], column: int) -> float:
    """Returns the growth per second of the values in ``column``, by the Theil-Sen estimator.

    Each array has the samples of one process. A row is a sample. The first column is the time in
    seconds.
    """
    # The median of the slopes between any two samples of one process: P. K. Sen, "Estimates of the
    # regression coefficient based on Kendall's tau", JASA 63, 1968. Two samples that are far apart
    # also show a leak that grows only now and then. A single step, as after a fault, does not
    # change the median.
    slopes = []
    for looks in processes:
        first, second = np.triu_indices(len(looks), 1)
        passed = looks[second] - looks[first]
        slopes.append(passed[:, column] / passed[:, 0])
    return float(np.median(np.concatenate(slopes)))


def grown(growth: Mapping[str, tuple[float, float] | None]) -> list[str]:
    """Returns a text for each part that grows too fast.

    If no part was seen for long enough to be judged, returns one text that says so.
    """
    ours = {part: used for part, used in growth.items() if used and part != FILLING}
    found = [
        f"{part} has grown"
        for part, (megabytes, files) in ours.items()
        if megabytes > LEVELLING.get(part, MEGABYTES) or files > FILES
    ]
    return found if ours else ["no part was seen for long enough to be judged"]


def _files(pid: int, clients: set[str]) -> int:
    """Returns how many files a process has open, without the sockets named in ``clients``.

    Returns 0 if the files can't be counted, for example because the process has ended.
    """
    try:
        links = [str(file.readlink()) for file in (PROC / str(pid) / "fd").iterdir()]
    except (FileNotFoundError, ProcessLookupError, PermissionError):  # the process or a file ended
        return 0
    return sum(link not in clients for link in links)


def _sockets(port: int) -> set[str]:
    """Returns the names of the TCP sockets on the local port ``port``, such as ``socket:[123]``.

    /proc/PID/fd names sockets in the same way.
    """
    lines = (PROC / "net" / "tcp").read_text().splitlines()[1:]
    found = (line.split() for line in lines)
    return {f"socket:[{line[9]}]" for line in found if int(line[1].rpartition(":")[2], 16) == port}
