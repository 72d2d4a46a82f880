"""Ten minutes of load with faults at random: ``make soak``.

Every few seconds a process is killed or frozen, chosen by a seed, so that a run can be repeated.
In the end every message is accounted for, no effect has happened twice, and neither memory nor
open files have grown.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from redis import RedisError
from rich.console import Console

from bench import messages
from bench.breaking import cut_connections, fill_disk, freeze, kill
from bench.campaign import held_out
from bench.faults import HONEST, Outcome, watched
from bench.loss import measure
from bench.recorder import BROKEN
from bench.scenario import Mix
from bench.system import Started, status
from bench.usage import PROC, pss
from bench.witness import Witness, computed_twice

RATE = 200.0
SETTINGS = {"BYLINE_WORKERS": "2", "BYLINE_VISIBILITY_TIMEOUT_S": "3"}
#: Seconds from one fault to the next: at least, at most. A part is left alone for a while after
#: its turn, for one that dies again and again is taken for broken, and Byline ends.
PAUSE_S, LONGEST_PAUSE_S, REST_S = 10.0, 20.0, 30.0
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


#: What may happen, to which part.
KINDS = (
    *(
        (part, name, break_(part))
        for part in ("worker-1", "worker-2", "api", "valkey")
        for name, break_ in (("kill", kill), ("freeze", freeze))
    ),
    ("valkey", "cut the connections of", cut_connections),
    ("valkey", "fill the disk of", fill_disk),
)


@dataclass(slots=True)
class Watch:
    """What each process used, look by look."""

    #: By part and process: seconds, bytes, open files.
    looks: dict[tuple[str, int], list[tuple[float, int, int]]] = field(default_factory=dict)

    def look(self, system: Started) -> None:
        """Look once."""
        now = time.monotonic()
        clients = _sockets(system.target.port)
        for part, pids in system.parts().items():
            if files := _files(pids[0], clients):
                entry = (now, pss(pids[0]), files)
                self.looks.setdefault((part, pids[0]), []).append(entry)

    def growth(self) -> dict[str, tuple[float, float] | None]:
        """Return for each part megabytes and open files a minute.

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
    """Return the growth a second of a column of looks, whose first one is the time.

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
    """Return in words what grew, and whether there was anything to judge."""
    ours = {part: used for part, used in growth.items() if used and part != FILLING}
    found = [
        f"{part} has grown"
        for part, (megabytes, files) in ours.items()
        if megabytes > LEVELLING.get(part, MEGABYTES) or files > FILES
    ]
    return found if ours else ["no part was seen for long enough to be judged"]


def main() -> int:
    """Soak. Returns 1 where a message has no honest outcome, or something grew."""
    options = _options()
    console = Console()
    chance = random.Random(options.seed)
    console.print(f"seed {options.seed}, {options.minutes:g} minutes")
    watch, over = Watch(), threading.Event()
    with tempfile.TemporaryDirectory(prefix="byline-soak-") as place:
        folder = Path(place)
        passages = messages.read(held_out(folder))
        witness = Witness(passages)
        with Started(folder, watched(folder) | SETTINGS) as system:
            drawn = messages.stream(passages, Mix(repeats=0.3, seed=options.seed), 0)
            with ThreadPoolExecutor(2) as aside:
                breaking = aside.submit(_break, system, chance, console, over)
                watching = aside.submit(_watch, system, watch, over)
                try:
                    count = int(options.minutes * 60 * RATE)
                    loss = measure(
                        system.target, drawn, passages, lambda: None, count, RATE, witness
                    )
                finally:
                    over.set()
                watching.result()  # raises what went wrong there
                struck = breaking.result()
            twice = computed_twice(folder / "calls")
            contradicted, unwell = 0, []
            try:
                contradicted = witness.contradicted(system.target)
            except RuntimeError as error:  # said below, with all that is known
                unwell.append(str(error))
    honest = HONEST | {BROKEN} if ("api", "kill") in struck else HONEST
    outcome = Outcome(loss, contradicted, twice, honest, count)
    console.print(
        f"sent {loss.sent:,}, answered {loss.answered:,}, promised and there {loss.kept:,}"
    )
    console.print(f"refused or cut off {sum(loss.failed.values()):,} {loss.failed or ''}")
    console.print(
        f"lost {loss.broken:,}, effects doubled {contradicted:,}, computed twice {twice:,}"
    )
    growth = watch.growth()
    for part, used in sorted(growth.items()):
        told = f"{used[0]:+.1f} MB and {used[1]:+.1f} open files a minute" if used else UNKNOWN
        console.print(f"{part}: {told}")
    complaints = [*outcome.complaints, *unwell, *grown(growth)]
    for words in complaints:
        console.print(words)
    return 1 if complaints else 0


def _break(
    system: Started, chance: random.Random, console: Console, over: threading.Event
) -> set[tuple[str, str]]:
    """Break things until it is over. Returns which part was broken how."""
    done: set[tuple[str, str]] = set()
    struck: dict[str, float] = {}
    began = time.monotonic()
    while not over.wait(chance.uniform(PAUSE_S, LONGEST_PAUSE_S)):
        now = time.monotonic()
        rested = [kind for kind in KINDS if struck.get(kind[0], 0.0) < now - REST_S]
        if not rested:
            continue
        part, name, strike = chance.choice(rested)
        struck[part] = now
        done.add((part, name))
        console.print(f"{now - began:5.0f} s  {name} {part}")
        try:
            strike(system)
        except (ProcessLookupError, RedisError):  # just ended, and being started again
            continue
    return done


def _watch(system: Started, watch: Watch, over: threading.Event) -> None:
    while not over.wait(LOOK_S):
        watch.look(system)


def _files(pid: int, clients: set[str]) -> int:
    """Return how many files a process has open, without its clients' connections."""
    try:
        links = [str(file.readlink()) for file in (PROC / str(pid) / "fd").iterdir()]
    except (FileNotFoundError, ProcessLookupError, PermissionError):  # gone, or a file is
        return 0
    return sum(link not in clients for link in links)


def _sockets(port: int) -> set[str]:
    """Return the sockets whose own port this is, as links in /proc name them."""
    lines = (PROC / "net" / "tcp").read_text().splitlines()[1:]
    found = (line.split() for line in lines)
    return {f"socket:[{line[9]}]" for line in found if int(line[1].rpartition(":")[2], 16) == port}


def _options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(status("soak", main))
