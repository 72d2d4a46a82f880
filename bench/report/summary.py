"""Computes the report of a load test from what was recorded and measured during the load.

The load generator has recorded each request. The samples are measurements of the memory and the
CPU time of the system under load.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from hdrh.histogram import HdrHistogram
from numpy.typing import NDArray

from bench.load.generator import Record
from bench.load.scenario import Scenario
from bench.report.quality import judge
from bench.report.results import Generator, Latency, Machine, Run, Second, Totals
from bench.system.usage import Sample

#: The HDR histogram's lowest and highest value in microseconds, and its precision in digits.
HDR = (1, 60_000_000, 3)
#: Percentiles of the curve, with smaller and smaller steps towards 100, as in an HDR plot.
CURVE = 100 * (1 - np.logspace(0, -5, 60))


@dataclass(slots=True)
class Observed:
    """What was seen of the system under load: model card, samples of memory and CPU, batches."""

    system: str
    card: dict[str, Any] | None = None
    device: str | None = None
    samples: list[Sample] = field(default_factory=list)
    batches: dict[str, int] | None = None


def summarise(
    name: str, scenario: Scenario, record: Record, observed: Observed, interrupted: bool
) -> Run:
    """Returns the report of a run, from the generator's record and the system's observations."""
    recorder = record.recorder
    latency = np.array(recorder.latency, np.float64) * 1e3
    answered = latency[~np.isnan(latency)]
    measured = [s for s in observed.samples if 0 <= s.time - record.began <= record.seconds]
    peak = max(measured, key=lambda sample: sum(sample.pss.values()), default=None)
    late = np.array(recorder.late, np.float64) * 1e3
    run = Run(
        name=name,
        system=observed.system,
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        scenario=scenario,
        machine=machine(),
        seconds=record.seconds,
        interrupted=interrupted,
        model_version=(observed.card or {}).get("version"),
        totals=totals(record),
        latency=_latency(answered),
        curve=[(float(p), float(ms)) for p, ms in _curve(answered)],
        timeline=_timeline(record, latency, measured),
        batches=observed.batches,
        pss=dict(peak.pss) if peak else {},
        quality=judge(recorder, observed.card),
        generator=Generator(record.cpu, float(np.percentile(late, 99)) if len(late) else 0.0),
        broken_limits=[],
    )
    return _with_limits(run)


def machine() -> Machine:
    """Returns a description of this machine."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        memory = Path("/proc/meminfo").read_text().split("MemTotal:")[1].split()[0]
    except OSError:  # not Linux
        lines, memory = [], "0"
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return Machine(
        processor=models[0] if models else platform.processor() or platform.machine(),
        cores=len(models) or 1,
        memory_bytes=1024 * int(memory),
        system=platform.platform(),
        python=platform.python_version(),
    )


def totals(record: Record) -> Totals:
    """Returns the numbers of sent, answered and failed messages of a load, and the throughput."""
    recorder = record.recorder
    answered = sum(recorder.answered)
    # Messages that were answered after the measurement do not count as throughput.
    ended = np.array(recorder.due, np.float64) + np.array(recorder.latency, np.float64)
    in_time = int(np.array(recorder.answered, np.int64)[ended <= record.seconds].sum())
    return Totals(
        requests=len(recorder.sent),
        sent=sum(recorder.sent),
        answered=answered,
        cached=sum(recorder.cached),
        failed=dict(recorder.failed),
        throughput=(in_time + recorder.carried) / record.seconds if record.seconds else 0.0,
    )


def _latency(ms: NDArray[np.float64]) -> Latency:
    histogram = HdrHistogram(*HDR)
    values, counts = np.unique(np.maximum(1, (ms * 1e3).astype(np.int64)), return_counts=True)
    for value, count in zip(values.tolist(), counts.tolist(), strict=True):
        histogram.record_value(min(value, HDR[1]), count)
    points = np.percentile(ms, [50, 90, 95, 99, 99.9, 100]) if len(ms) else np.zeros(6)
    mean = float(ms.mean()) if len(ms) else 0.0
    return Latency(mean, *(float(point) for point in points), histogram.encode().decode())


def _curve(ms: NDArray[np.float64]) -> Sequence[tuple[float, float]]:
    if not len(ms):
        return []
    highest = 100 * (1 - 1 / len(ms))  # at most one request is slower than this percentile
    percentiles = CURVE[highest >= CURVE]
    return list(zip(percentiles, np.percentile(ms, percentiles), strict=True))


def _timeline(
    record: Record, latency: NDArray[np.float64], samples: Sequence[Sample]
) -> list[Second]:
    recorder = record.recorder
    second_due = np.array(recorder.due, np.float64).astype(int)
    sent, answered, cached = (
        np.array(figures, np.int64)
        for figures in (recorder.sent, recorder.answered, recorder.cached)
    )
    by_second: dict[int, Sample] = {int(s.time - record.began): s for s in samples}
    seconds = []
    for second in range(int(np.ceil(record.seconds))):
        here = second_due == second
        ms = latency[here & ~np.isnan(latency)]
        p50, p95, p99 = np.percentile(ms, [50, 95, 99]).tolist() if len(ms) else (None,) * 3
        sample = by_second.get(second)
        seconds.append(
            Second(
                at=float(second),
                sent=int(sent[here].sum()),
                answered=int(answered[here].sum()),
                cached=int(cached[here].sum()),
                failed=int(sent[here].sum() - answered[here].sum()),
                p50_ms=p50,
                p95_ms=p95,
                p99_ms=p99,
                pss=dict(sample.pss) if sample else {},
                cpu=dict(sample.cpu) if sample else {},
            )
        )
    return seconds


def _with_limits(run: Run) -> Run:
    found: Mapping[str, float] = {
        "p50_ms": run.latency.p50_ms,
        "p95_ms": run.latency.p95_ms,
        "p99_ms": run.latency.p99_ms,
        "failed": sum(run.totals.failed.values()),
        "pss_mb": sum(run.pss.values()) / 1e6,
        "throughput": run.totals.throughput,
    }
    if not run.totals.answered:
        run.broken_limits.append("nothing was answered")
    for name, limit in run.scenario.limits.items():
        value, least = found[name], name == "throughput"
        if value < limit if least else value > limit:
            bound = "least" if least else "most"
            run.broken_limits.append(f"{name}: {value:,.1f}, at {bound} {limit:,.1f}")
    return run
