"""Measures how Byline scales: ``python -m bench.scaling``, or one part with ``--only PART``.

The part *workers* measures the throughput of one to eight workers. The part *api* measures the
throughput of one to four api processes. The part *redis* measures what a message costs Valkey, and
how many messages a second one Valkey can take. Each figure is the median of several rounds.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec
from redis import Redis

from bench.campaign import held_out, run
from bench.load.scenario import Mix, Scenario
from bench.report.results import Run
from bench.report.summary import Observed, machine
from bench.scaling import table
from bench.scaling.redis_usage import Cost, Counters, between, cost, counters
from bench.scaling.replay import record, replay, stored
from bench.scaling.results import Point, Replay, Round, Study, Usage, by_kind, rotated
from bench.system.processes import Processes, listens
from bench.system.system import Started, free_ports, status
from bench.system.usage import machine_seconds, own_seconds
from bench.system.valkey import server_command

PARTS = ("workers", "api", "redis")
#: Numbers of workers that are measured.
WORKERS = (1, 2, 4, 8)
#: Numbers of api processes that are measured.
PROCESSES = (1, 2, 4)
#: A model that sleeps 20 ms for a batch and 2 ms for each of its messages. It sleeps as long as a
#: GPU would compute, so that few cores are enough.
MODEL = "tests.accelerated:Accelerated"
#: Messages of a batch, and of a full task.
BATCH = 64
#: Tasks that one api process may have under way: two for each worker.
CREDITS = 2 * max(WORKERS)
#: Single requests under way for each worker: enough for a task that is computed, a task that waits,
#: and a task that is being filled.
SINGLE_EACH = 3 * BATCH
#: Celery tasks under way for each worker.
TASKS_EACH = 6
#: The name of the load of single requests.
SINGLE = "HTTP, one by one"
#: The name of the load of Celery tasks.
TASKS = "Celery tasks of 64"
#: Seconds of load before each measurement.
WARMUP_S = 3.0
#: A mix of few different messages, which are all in the cache.
KNOWN = Mix(repeats=1.0, exponent=0.0, population=1000)
#: CPU time of other programs, in cores, above which a measurement counts as disturbed.
DISTURBED = 0.15
#: Longest time in seconds for which a measurement waits for other programs to become quiet.
QUIET_S = 60.0
#: Maximum number of attempts at a measurement that other programs disturb.
TRIES = 3
#: Seconds over which the CPU time of other programs is measured.
LOOK_S = 2.0
#: Seconds for which an idle system is measured.
IDLE_S = 10.0
#: Seconds for which Valkey's commands are recorded.
RECORD_S = 3.0
API_LOADS = {"new messages": Mix(), "known messages": KNOWN}
REDIS_LOADS: dict[str, dict[str, Any]] = {
    "500/s, one by one": {"rate": 500.0, "connections": 256},
    "2,000/s, one by one": {"rate": 2000.0, "connections": 256},
    "64 connections, one by one": {"connections": 64},
    "8 connections, 64 a request": {"connections": 8, "bulk": BATCH},
    "Celery tasks of 16": {"connections": 8, "bulk": 16, "way": "celery"},
    "64 connections, all cached": {"connections": 64, "mix": KNOWN},
}
#: A load that fills the cache, at 270 bytes a message, before the measurements.
FULL = {"connections": 8, "bulk": BATCH, "seconds": 90.0, "most_messages": 200_000}
#: The loads whose commands are recorded and replayed.
RECORDED = ("64 connections, one by one", "8 connections, 64 a request")


def main() -> int:
    """Measures the parts that ``--only`` names. Prints the figures, and writes them as JSON."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="byline-bench-") as folder:
        measured = Measured(Path(folder), options.seconds)
        try:
            for number in range(options.rounds):
                for part in options.only:
                    getattr(measured, part)(number)
            if "redis" in options.only:
                measured.replays(options.rounds)
        finally:  # the figures so far are written, also after an error
            _write(measured.study(), options.out)
    return 0


def _write(study: Study, out: Path) -> None:
    table.show(study)
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{time.strftime('%Y%m%d-%H%M%S')}-scaling.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(study)))
    print(f"the figures: {path}")


class Load(NamedTuple):
    """The figures of one load: its report, Valkey's counters, and the CPU use of other programs."""

    run: Run
    #: Valkey's counters over the whole load.
    counted: Counters
    #: CPU time of other programs on the machine, in cores.
    others: float


class Measured:
    """Starts a new instance of Byline for each measurement, and collects the study's figures."""

    def __init__(self, folder: Path, seconds: float) -> None:
        self._folder = folder
        self._seconds = seconds
        self._passages = held_out(folder)
        self._rounds: dict[tuple[str, str, int], list[Round]] = {}
        self._costs: dict[str, list[Cost]] = {}
        self._replays: list[Replay] = []

    def study(self) -> Study:
        """Returns the study with all figures that were collected so far."""
        points = {
            part: [
                Point(load, count, rounds)
                for (of, load, count), rounds in sorted(self._rounds.items())
                if of == part
            ]
            for part in ("workers", "api")
        }
        return Study(
            ended=datetime.now(UTC).isoformat(timespec="seconds"),
            machine=machine(),
            seconds=self._seconds,
            **points,
            redis=[Usage(load, costs) for load, costs in self._costs.items()],
            replays=self._replays,
        )

    def workers(self, number: int) -> None:
        """Measures the throughput with one to eight workers, in round ``number`` of the study."""
        for count in rotated(WORKERS, number):
            settings = {
                "BYLINE_MODEL": MODEL,
                "BYLINE_WORKERS": str(count),
                "BYLINE_CREDITS": str(CREDITS),
                "BYLINE_BATCH_MESSAGES": str(BATCH),
            }
            tasks = {"way": "celery", "bulk": BATCH, "connections": TASKS_EACH * count}
            with self._started(settings) as system:
                self._measure("workers", SINGLE, count, system, connections=SINGLE_EACH * count)
                self._measure("workers", TASKS, count, system, **tasks)

    def api(self, number: int) -> None:
        """Measures the throughput with one to four api processes, in round ``number``."""
        for count in rotated(PROCESSES, number):
            settings = {"BYLINE_WORKERS": "2", "BYLINE_API_PROCESSES": str(count)}
            with self._started(settings) as system:
                for load, mix in API_LOADS.items():
                    self._measure("api", load, count, system, connections=64, mix=mix)

    def redis(self, number: int) -> None:
        """Measures the commands and CPU time that a message costs Valkey, in round ``number``."""
        # Without the api's local cache, whose hits cost Valkey nothing.
        with self._started({"BYLINE_LOCAL_CACHE_MESSAGES": "0"}) as system:
            client = Redis.from_url(system.redis)
            # Fills the cache. As after a long run, each new entry then evicts an old entry.
            for load in (FULL, {"connections": 64, "mix": KNOWN}):
                self._once(system, load)
            before = counters(client)
            time.sleep(IDLE_S)  # the commands of an idle system are counted
            idle = between(before, counters(client))
            for load in rotated(tuple(REDIS_LOADS), number):
                found = self._run(system, warmup_seconds=0.0, **REDIS_LOADS[load])
                totals = found.run.totals
                each = cost(found.counted, idle, totals.answered, totals.throughput)
                self._costs.setdefault(load, []).append(each)
                print(f"redis, {load}: {totals.throughput:,.0f} messages/s", flush=True)

    def replays(self, rounds: int) -> None:
        """Records Valkey's commands under load, and measures the CPU time of their replays.

        Each recording is replayed ``rounds`` times, on a Valkey that has no other clients.
        """
        for load in RECORDED:
            commands = self._recorded(load)
            messages = sum(map(stored, commands))
            seconds = self._replayed(commands, rounds)
            self._replays.append(Replay(load, messages, len(commands), seconds))

    def _replayed(self, commands: list[list[bytes]], rounds: int) -> list[float]:
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        port = free_ports(1)[0]
        with Processes(folder) as processes:
            processes.start("valkey", server_command(port, folder), {})
            processes.wait(lambda: listens(port))
            return [replay(port, commands) for _ in range(rounds)]

    def _recorded(self, load: str) -> list[list[bytes]]:
        with (
            self._started({"BYLINE_LOCAL_CACHE_MESSAGES": "0"}) as system,
            ThreadPoolExecutor(1) as aside,
        ):
            port = urlsplit(system.redis).port
            recording = aside.submit(record, port, 2 * WARMUP_S, RECORD_S)
            fields = {**REDIS_LOADS[load], "seconds": 2 * WARMUP_S + RECORD_S}
            self._once(system, fields)
            return recording.result()

    def _started(self, settings: Mapping[str, str]) -> Started:
        return Started(Path(tempfile.mkdtemp(dir=self._folder)), settings)

    def _measure(self, part: str, load: str, count: int, system: Started, **fields: Any) -> None:
        found = _round(self._run(system, **fields))
        self._rounds.setdefault((part, load, count), []).append(found)
        print(f"{part}, {count}, {load}: {found.throughput:,.0f} messages/s", flush=True)

    def _run(self, system: Started, **fields: Any) -> Load:
        """Puts a load on ``system``, and returns the figures of the load.

        ``fields`` are fields of the load's scenario. If other programs disturb the measurement,
        the load is repeated.
        """
        for _ in range(TRIES):
            wait_for_quiet()
            found = self._once(system, fields)
            if found.others < DISTURBED:
                break
            print(f"other programs used {found.others:.2f} cores; again", flush=True)
        return found

    def _once(self, system: Started, fields: Mapping[str, Any]) -> Load:
        given = {"seconds": self._seconds, "warmup_seconds": WARMUP_S, **fields}
        scenario = Scenario(title="scaling", **given)
        observed = Observed("Byline")
        client = Redis.from_url(system.redis)
        before, used, began = counters(client), elsewhere_seconds(), time.monotonic()
        done = run("scaling", scenario, system, observed, self._passages, lambda _: None)
        if done.interrupted:
            raise KeyboardInterrupt
        others = (elsewhere_seconds() - used) / (time.monotonic() - began)
        return Load(done, between(before, counters(client)), others)


def elsewhere_seconds() -> float:
    """Returns the CPU seconds that programs outside of this benchmark have used so far."""
    return machine_seconds() - own_seconds()


def wait_for_quiet() -> None:
    """Waits until other programs use little CPU time; gives up after ``QUIET_S`` seconds."""
    until = time.monotonic() + QUIET_S
    used = DISTURBED * LOOK_S
    while used >= DISTURBED * LOOK_S and time.monotonic() < until:
        before = elsewhere_seconds()
        time.sleep(LOOK_S)  # the CPU time of this interval is measured
        used = elsewhere_seconds() - before


def _round(found: Load) -> Round:
    done = found.run
    looks = [by_kind(second.cpu) for second in done.timeline if second.cpu]
    kinds = sorted({kind for look in looks for kind in look})
    cpu = {kind: mean(look.get(kind, 0.0) for look in looks) for kind in kinds}
    return Round(
        throughput=done.totals.throughput,
        p95_ms=done.latency.p95_ms,
        failed=sum(done.totals.failed.values()),
        cpu={**cpu, "generator": done.generator.cpu},
        others=found.others,
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.scaling", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, metavar="PART")
    parser.add_argument("--rounds", type=int, default=3, help="of everything (3)")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each load (10)")
    parser.add_argument("--out", type=Path, default=Path("bench-results"), help="(bench-results)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(status("scaling", main))
