"""Measures one system, Byline or a peer, in one round: with three mixes, and at a steady rate.

The mixes are new single messages, single messages of which many repeat, and bulk requests.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console

from bench.campaign import run
from bench.load.goodput import search
from bench.load.scenario import Mix, Scenario
from bench.report.results import Run
from bench.report.summary import Observed

#: The name of Byline in the tables.
BYLINE = "Byline"
#: Seconds of load before each measured step, in which systems adapt their batch sizes.
WARMUP_S = 1.5
#: Seconds of load before the first step.
FIRST_WARMUP_S = 4.0
#: The mixes, and the messages in a request. About 60 % of the second mix's messages repeat.
MIXES = {
    "unique": (Mix(), 1),
    "zipf": (Mix(repeats=0.6, exponent=1.0, population=1000), 1),
    "bulk": (Mix(), 64),
}
#: Requests under way in the closed loop, by messages in a request.
CONNECTIONS = {1: 64, 64: 8}
#: Maximum number of requests under way in an open loop.
MAX_CONNECTIONS = 1024
#: Variants of each passage that are reserved for a step: more than the fastest system needs.
VARIANTS = 16
#: Messages per second at which latency and memory are compared.
STEADY = 500.0


class MixFigures(msgspec.Struct):
    """The figures of one system in one round, for one mix of messages."""

    #: Messages per second in the closed loop.
    ceiling: float
    ceiling_p95_ms: float
    #: The highest rate in messages per second that the system held (see
    #: :func:`bench.load.goodput.held`); None if it held no rate.
    goodput: float | None
    #: Share of all messages that failed.
    failed: float
    accuracy: float | None


class Figures(msgspec.Struct):
    """The figures of one system in one round.

    Latency and memory come from the load at :data:`STEADY` messages per second.
    """

    mixes: dict[str, MixFigures]
    p50_ms: float
    p95_ms: float
    p99_ms: float
    #: Share of the messages that failed.
    steady_failed: float
    #: Proportional set size in bytes, by part.
    pss: dict[str, int]


class MeasurementSchedule:
    """Measures one system, Byline or a peer, in one round."""

    def __init__(self, name: str, passages: Path, seconds: float, console: Console) -> None:
        self._name = name
        self._passages = passages
        self._seconds = seconds
        self._console = console
        self._seed = 0
        #: The number of the first variant that no step has sent.
        self._variant = 0

    def run(self, system: Any) -> Figures:
        """Measures ``system`` at each mix and at the steady rate, and returns the figures."""
        self._measure(system, Mix(), 1, None, FIRST_WARMUP_S)
        mixes = {}
        for name, (mix, bulk) in MIXES.items():
            mixes[name] = self._mix(system, name, mix, bulk)
        steady = self._measure(system, Mix(), 1, STEADY, WARMUP_S, 2 * self._seconds)
        self._console.print(f"  {STEADY:.0f} msg/s: {_line(steady)}")
        return Figures(
            mixes,
            steady.latency.p50_ms,
            steady.latency.p95_ms,
            steady.latency.p99_ms,
            _failed(steady),
            steady.pss,
        )

    def _mix(self, system: Any, name: str, mix: Mix, bulk: int) -> MixFigures:
        ceiling = self._measure(system, mix, bulk, None, WARMUP_S)
        self._console.print(f"  {name}, as many as go: {_line(ceiling)}")
        runs = [ceiling]

        def measure(rate: float) -> Run:
            runs.append(self._measure(system, mix, bulk, rate, WARMUP_S))
            self._console.print(f"  {name}, {rate:,.0f} msg/s: {_line(runs[-1])}")
            return runs[-1]

        best = search(measure, max(10.0 * bulk, ceiling.totals.throughput))
        sent = sum(run.totals.sent for run in runs)
        return MixFigures(
            ceiling=ceiling.totals.throughput,
            ceiling_p95_ms=ceiling.latency.p95_ms,
            goodput=None if best is None else best.totals.throughput,
            failed=sum(sum(run.totals.failed.values()) for run in runs) / max(1, sent),
            accuracy=None if ceiling.quality is None else ceiling.quality.accuracy,
        )

    def _measure(
        self,
        system: Any,
        mix: Mix,
        bulk: int,
        rate: float | None,
        warmup_s: float,
        seconds: float | None = None,
    ) -> Run:
        self._seed += 1  # so that no step sends messages that an earlier step put into the cache
        scenario = Scenario(
            title=self._name,
            rate=rate,
            connections=CONNECTIONS[bulk] if rate is None else MAX_CONNECTIONS,
            seconds=seconds or self._seconds,
            warmup_seconds=warmup_s,
            bulk=bulk,
            mix=msgspec.structs.replace(mix, seed=self._seed if mix.repeats == 0 else 1),
        )
        done = run(
            self._name,
            scenario,
            system,
            Observed(self._name),
            self._passages,
            _silent,
            self._variant,
        )
        self._variant += VARIANTS
        if done.interrupted:  # half a step has no meaning
            raise KeyboardInterrupt
        return done


def _silent(_: object) -> None:
    pass


def _failed(run: Run) -> float:
    return sum(run.totals.failed.values()) / max(1, run.totals.sent)


def _line(run: Run) -> str:
    failed = f", failed {run.totals.failed}" if run.totals.failed else ""
    return (
        f"{run.totals.throughput:,.0f} msg/s, P50 {run.latency.p50_ms:.0f}, "
        f"P95 {run.latency.p95_ms:.0f}, P99 {run.latency.p99_ms:.0f} ms{failed}"
    )
