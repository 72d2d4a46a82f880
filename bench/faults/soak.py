"""Ten minutes of load with random faults, which ``--seed`` can repeat: ``make soak``.

The test checks every message's outcome, and the growth of each part's memory and open files.
``--crowded`` adds an extra load: a full cache, a client that sends as much as it can, and a client
that fetches its answers late.
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
from contextlib import nullcontext
from pathlib import Path

from redis import RedisError
from rich.console import Console

from bench.campaign import held_out
from bench.faults.__main__ import HONEST, Outcome, watched
from bench.faults.crowd import crowd
from bench.faults.duplicate_check import DuplicateCheck, computed_twice
from bench.faults.fault_injection import cut_connections, fill_disk, freeze, kill
from bench.faults.loss import measure
from bench.load import messages
from bench.load.beside import MEASURED, write_keys
from bench.load.recorder import BROKEN
from bench.load.scenario import Mix
from bench.system.growth import UNKNOWN, Watch, grown
from bench.system.system import Started, status

#: Messages a second.
RATE = 200.0
SETTINGS = {"BYLINE_WORKERS": "2", "BYLINE_VISIBILITY_TIMEOUT_S": "3"}
#: Shortest time in seconds from one fault to the next.
PAUSE_S = 10.0
#: Longest time in seconds from one fault to the next.
LONGEST_PAUSE_S = 20.0
#: Seconds after a fault of a part in which this part gets no further fault. If a part dies often,
#: supervisord gives it up, and Byline restarts it only later.
REST_S = 30.0


#: The faults: the name of the broken part, the fault's name, and the function that causes it.
KINDS = (
    *(
        (part, name, break_(part))
        for part in ("worker-1", "worker-2", "api", "valkey")
        for name, break_ in (("kill", kill), ("freeze", freeze))
    ),
    ("valkey", "cut the connections of", cut_connections),
    ("valkey", "fill the disk of", fill_disk),
)


def main() -> int:
    """Runs the soak test, and prints its result. Returns 1 if a check failed, and 0 otherwise."""
    options = _options()
    console = Console()
    console.print(f"seed {options.seed}, {options.minutes:g} minutes")
    watch = Watch()
    with tempfile.TemporaryDirectory(prefix="byline-soak-") as folder:
        complaints = _soak(options, console, Path(folder), watch)
    growth = watch.growth()
    for part, used in sorted(growth.items()):
        words = f"{used[0]:+.1f} MB and {used[1]:+.1f} open files a minute" if used else UNKNOWN
        console.print(f"{part}: {words}")
    complaints += grown(growth)
    for words in complaints:
        console.print(words)
    return 1 if complaints else 0


def _soak(options: argparse.Namespace, console: Console, folder: Path, watch: Watch) -> list[str]:
    """Runs Byline under load with random faults, and returns a text for each failed check."""
    texts = held_out(folder)
    passages = messages.read(texts)
    duplicate_check, mix = DuplicateCheck(passages), Mix(repeats=options.repeats, seed=options.seed)
    seconds, over = options.minutes * 60, threading.Event()
    settings = watched(folder) | SETTINGS | {"BYLINE_KEYS_FILE": str(write_keys(folder))}
    with Started(folder, settings, MEASURED) as system:
        beside = crowd(system, texts, mix, seconds) if options.crowded else nullcontext()
        with beside as others, ThreadPoolExecutor(2) as aside:
            injection = aside.submit(_break, system, random.Random(options.seed), console, over)
            watching = aside.submit(watch.run, system, over)
            try:
                drawn, count = messages.stream(passages, mix, 0), int(seconds * RATE)
                loss = measure(
                    system.target, drawn, passages, lambda: None, count, RATE, duplicate_check
                )
            finally:
                over.set()
            watching.result()  # raises the thread's error
            honest = HONEST | {BROKEN} if ("api", "kill") in injection.result() else HONEST
        complaints, contradicted = [], 0
        try:
            contradicted = duplicate_check.contradicted(system.target)
        except RuntimeError as error:  # printed in the end, with the other complaints
            complaints.append(str(error))
    outcome = Outcome(loss, contradicted, computed_twice(folder / "calls"), honest, count)
    complaints += _report(console, "", outcome)
    if others is not None:
        for name, became in (("promised: ", others.promised), ("greedy key: ", others.greedy)):
            assert became is not None
            complaints += _report(console, name, Outcome(became, 0, 0, honest))
        cache = f"cache full in {others.full} of {others.looks} looks"
        console.print(f"{cache}, {others.evicted:,} results evicted")
        complaints += others.complaints
    return complaints


def _report(console: Console, name: str, outcome: Outcome) -> list[str]:
    """Prints the outcome of a load's messages, and returns a text for each failed check."""
    loss = outcome.loss
    console.print(
        f"{name}sent {loss.sent:,}, answered {loss.answered:,}, promised and there {loss.kept:,}"
    )
    console.print(f"{name}refused or cut off {sum(loss.failed.values()):,} {loss.failed or ''}")
    console.print(
        f"{name}lost {loss.broken:,}, effects doubled {outcome.contradicted:,}, "
        f"computed twice {outcome.computed_twice:,}"
    )
    return [name + words for words in outcome.complaints]


def _break(
    system: Started, chance: random.Random, console: Console, over: threading.Event
) -> set[tuple[str, str]]:
    """Causes random faults until ``over`` is set.

    Returns a set of pairs: the name of the broken part, and the name of the fault.
    """
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
        except (ProcessLookupError, RedisError):  # the part has just ended, and is restarted
            continue
    return done


def _options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.faults.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--repeats", type=float, default=0.3, help="share of repeated messages")
    parser.add_argument("--crowded", action="store_true", help="with the extra load, see above")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(status("soak", main))
