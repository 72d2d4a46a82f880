"""Ten minutes of load with faults at random: ``make soak``.

Every few seconds a process is killed or frozen, chosen by a seed, so that a run can be repeated.
In the end every message is accounted for, and neither memory nor open files have grown.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from redis import RedisError
from rich.console import Console

from bench import messages
from bench.breaking import cut_connections, fill_disk, freeze, kill
from bench.campaign import held_out
from bench.loss import measure
from bench.scenario import Mix
from bench.system import Started, status
from bench.usage import PROC, pss

RATE = 200.0
#: Seconds from one fault to the next: at least, at most. A part is left alone for a while after
#: its turn, for one that dies again and again is taken for broken, and Byline ends.
PAUSE_S, LONGEST_PAUSE_S, REST_S = 10.0, 20.0, 30.0
#: Seconds between two looks at memory and open files. The second half of a process's looks counts,
#: if there are so many: until then, caches fill.
LOOK_S, LOOKS = 5.0, 6
#: Growth that is none: megabytes and open files, a minute. A part lives for a minute or two here.
MEGABYTES, FILES = 5.0, 5.0
#: Shown, and not judged: celery-exporter remembers 10,000 tasks, and is still filling up with them
#: when Valkey is killed again, and it with it.
FILLING = "exporter"


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

    def growth(self) -> dict[str, tuple[float, float]]:
        """Return for each part megabytes and open files a minute: the median of its processes.

        Of a process it is the median from one look to the next: what leaks does so all the time. A
        fault leaves a step, the memory of all that waited then, and each the smaller one.
        """
        found: dict[str, list[tuple[float, float]]] = {}
        for (part, _), looks in self.looks.items():
            settled = looks[len(looks) // 2 :]
            if len(settled) < LOOKS:
                continue
            times, sizes, files = map(np.array, zip(*settled, strict=True))
            slopes = (
                np.median(np.diff(values) / np.diff(times)) * 60 for values in (sizes / 1e6, files)
            )
            found.setdefault(part, []).append(tuple(slopes))  # type: ignore[arg-type]
        return {
            part: (float(np.median([m for m, _ in each])), float(np.median([f for _, f in each])))
            for part, each in found.items()
        }


def main() -> int:
    """Soak. Returns 1 where a message was lost or something grew."""
    options = _options()
    console = Console()
    chance = random.Random(options.seed)
    console.print(f"seed {options.seed}, {options.minutes:g} minutes")
    watch, over = Watch(), threading.Event()
    with tempfile.TemporaryDirectory(prefix="byline-soak-") as place:
        folder = Path(place)
        passages = messages.read(held_out(folder))
        with Started(folder, {"BYLINE_WORKERS": "2", "BYLINE_VISIBILITY_TIMEOUT_S": "3"}) as system:
            drawn = messages.stream(passages, Mix(repeats=0.3, seed=options.seed), 0)
            with ThreadPoolExecutor(2) as aside:
                breaking = aside.submit(_break, system, chance, console, over)
                watching = aside.submit(_watch, system, watch, over)
                try:
                    count = int(options.minutes * 60 * RATE)
                    loss = measure(system.target, drawn, passages, lambda: None, count, RATE)
                finally:
                    over.set()
                for each in (breaking, watching):
                    each.result()  # raises what went wrong there
    console.print(
        f"sent {loss.sent:,}, answered {loss.answered:,}, promised and there {loss.kept:,}"
    )
    console.print(f"refused or cut off {sum(loss.failed.values()):,} {loss.failed or ''}")
    console.print(f"lost {loss.broken:,}")
    growth = watch.growth()
    for part, (megabytes, files) in sorted(growth.items()):
        console.print(f"{part}: {megabytes:+.1f} MB and {files:+.1f} open files a minute")
    ours = (used for part, used in growth.items() if part != FILLING)
    grown = any(m > MEGABYTES or f > FILES for m, f in ours)
    accounted = loss.answered + loss.kept + loss.broken + sum(loss.failed.values()) == loss.sent
    return 1 if loss.broken or grown or not accounted else 0


def _break(system: Started, chance: random.Random, console: Console, over: threading.Event) -> None:
    struck: dict[str, float] = {}
    began = time.monotonic()
    while not over.wait(chance.uniform(PAUSE_S, LONGEST_PAUSE_S)):
        now = time.monotonic()
        rested = [kind for kind in KINDS if struck.get(kind[0], 0.0) < now - REST_S]
        if not rested:
            continue
        part, name, strike = chance.choice(rested)
        struck[part] = now
        console.print(f"{now - began:5.0f} s  {name} {part}")
        try:
            strike(system)
        except (ProcessLookupError, RedisError):  # just ended, and being started again
            continue


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
