"""Makes runs for tests, with small round figures that a test may replace."""

from __future__ import annotations

from typing import Any

from bench.load.scenario import Scenario
from bench.report.results import Generator, Latency, Machine, Quality, Run, Second, Totals

MACHINE = Machine(
    processor="Test CPU", cores=2, memory_bytes=8_000_000_000, system="Linux 6", python="3.11.7"
)
LATENCY = Latency(
    mean_ms=14.0,
    p50_ms=12.5,
    p90_ms=20.0,
    p95_ms=31.5,
    p99_ms=47.5,
    p999_ms=80.0,
    max_ms=1234.0,
    hdr="",
)
QUALITY = Quality(
    messages=5000,
    accuracy=0.575,
    accuracy_low=0.561,
    accuracy_high=0.589,
    coverage=0.607,
    accuracy_when_answered=0.761,
    calibration_error=0.022,
    card_accuracy=0.58,
    card_coverage=0.606,
    agrees=True,
)


def second(at: float, **changes: Any) -> Second:
    """Returns a second in which 490 of 500 messages were answered."""
    fields: dict[str, Any] = {
        "at": at,
        "sent": 500,
        "answered": 490,
        "cached": 100,
        "failed": 10,
        "p50_ms": 12.5,
        "p95_ms": 31.5,
        "p99_ms": 47.5,
        "pss": {"worker": 280_000_000, "api": 60_000_000},
        "cpu": {"worker": 0.9, "api": 0.4, "generator": 0.2},
    }
    return Second(**fields | changes)


def run(**changes: Any) -> Run:
    """Returns a run of three seconds that kept its limits."""
    fields: dict[str, Any] = {
        "name": "steady",
        "system": "Byline",
        "started": "2026-11-23T10:00:00Z",
        "scenario": Scenario(title="A steady load", rate=500.0, limits={"p95_ms": 50.0}),
        "machine": MACHINE,
        "seconds": 3.0,
        "interrupted": False,
        "model_version": "ngram-1-abc",
        "totals": totals(),
        "latency": LATENCY,
        "curve": [(0.0, 2.0), (50.0, 12.5), (90.0, 20.0), (99.0, 47.5), (100.0, 1234.0)],
        "timeline": [second(0.0), second(1.0), second(2.0)],
        "batches": {"1": 10, "2": 5, "4": 3, "+Inf": 1},
        "pss": {"worker": 280_000_000, "api": 60_000_000},
        "quality": QUALITY,
        "generator": Generator(cpu=0.2, late_p99_ms=0.4),
        "broken_limits": [],
    }
    return Run(**fields | changes)


def totals(**changes: Any) -> Totals:
    """Returns the totals of :func:`run`."""
    fields: dict[str, Any] = {
        "requests": 1500,
        "sent": 1500,
        "answered": 1470,
        "cached": 300,
        "failed": {"overloaded": 27, "timeout": 3},
        "throughput": 490.0,
    }
    return Totals(**fields | changes)


def bare_run() -> Run:
    """Returns a run of one second without any answer, and without samples of the parts."""
    return run(
        seconds=1.0,
        totals=totals(answered=0, cached=0, failed={}, throughput=0.0),
        latency=Latency(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, ""),
        curve=[],
        timeline=[
            second(0.0, answered=0, cached=0, p50_ms=None, p95_ms=None, p99_ms=None, pss={}, cpu={})
        ],
        batches=None,
        pss={},
        quality=None,
        model_version=None,
    )
