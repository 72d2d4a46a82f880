"""Whether memory or open files of a process grow while a load runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bench.system.system import Started
from bench.system.usage import PROC, pss

#: Seconds between two looks at memory and open files. Those of a process's first seconds do not
#: count, for its caches fill until then; of the others, so many are the fewest that tell anything.
LOOK_S, SETTLE_S, LOOKS = 5.0, 45.0, 6
#: Growth that is none: megabytes and open files, a minute. A part lives for a minute or two here.
MEGABYTES, FILES = 5.0, 5.0
#: Megabytes for those that grow, but not for ever. The api keeps what it took for all that waited
#: during a freeze, less each time: 11, 4 and 1 MB in a row. Valkey keeps each answer for a day,
#: 270 bytes of 12,000 a minute here, until it holds as much as it may.
LEVELLING = {"api": 8.0, "valkey": 8.0}
#: Shown, and not judged: celery-exporter remembers 10,000 tasks, and is still filling up with them
#: when Valkey is killed again, and it with it.
FILLING = "exporter"
UNKNOWN = "no process of it was seen for long enough to tell whether it grows"


@dataclass(slots=True)
class Watch:
    """What each process used, look by look."""

    #: By part and process: seconds, bytes, open files.
    looks: dict[tuple[str, int], list[tuple[float, int, int]]] = field(default_factory=dict)

    def look(self, system: Started) -> None:
        """Looks once."""
        now = time.monotonic()
        clients = _sockets(system.target.port)
        for part, pids in system.parts().items():
            if files := _files(pids[0], clients):
                entry = (now, pss(pids[0]), files)
                self.looks.setdefault((part, pids[0]), []).append(entry)

    def run(self, system: Started, over: threading.Event) -> None:
        """Looks every few seconds until it is over."""
        while not over.wait(LOOK_S):
            self.look(system)

    def growth(self) -> dict[str, tuple[float, float] | None]:
        """Returns for each part megabytes and open files a minute.

        None for a part of which no process was seen for long enough to tell.
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
    """Returns the growth a second of a column of looks, whose first one is the time.

    The median of the slopes between any two looks at the same process (Theil-Sen; P. K. Sen,
    "Estimates of the regression coefficient based on Kendall's tau", JASA 63, 1968): a leak that
    shows only now and then is seen over the longer distances, and the single step that a fault
    leaves behind is outvoted.
    """
    slopes = []
    for looks in processes:
        first, second = np.triu_indices(len(looks), 1)
        passed = looks[second] - looks[first]
        slopes.append(passed[:, column] / passed[:, 0])
    return float(np.median(np.concatenate(slopes)))


def grown(growth: Mapping[str, tuple[float, float] | None]) -> list[str]:
    """Returns in words what grew, and whether there was anything to judge."""
    ours = {part: used for part, used in growth.items() if used and part != FILLING}
    found = [
        f"{part} has grown"
        for part, (megabytes, files) in ours.items()
        if megabytes > LEVELLING.get(part, MEGABYTES) or files > FILES
    ]
    return found if ours else ["no part was seen for long enough to be judged"]


def _files(pid: int, clients: set[str]) -> int:
    """Returns how many files a process has open, without its clients' connections."""
    try:
        links = [str(file.readlink()) for file in (PROC / str(pid) / "fd").iterdir()]
    except (FileNotFoundError, ProcessLookupError, PermissionError):  # gone, or a file is
        return 0
    return sum(link not in clients for link in links)


def _sockets(port: int) -> set[str]:
    """Returns the sockets whose own port this is, as links in /proc name them."""
    lines = (PROC / "net" / "tcp").read_text().splitlines()[1:]
    found = (line.split() for line in lines)
    return {f"socket:[{line[9]}]" for line in found if int(line[1].rpartition(":")[2], 16) == port}
