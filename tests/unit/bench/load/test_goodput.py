"""Tests of the search for the highest rate within the latency bound."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from bench.load import goodput
from bench.report.results import Run
from tests.unit.bench.runs import LATENCY, run, totals


def measured(rate: float, capacity: float, failed: int = 0) -> Run:
    done = run()
    return replace(
        done,
        scenario=replace(done.scenario, rate=rate),
        latency=replace(LATENCY, p95_ms=20.0 if rate <= capacity else 300.0),
        totals=totals(sent=1000, answered=1000 - failed),
    )


@pytest.mark.parametrize("capacity", [0.35, 0.5, 0.8, 1.0, 1.05, 1.3, 2.0, 4.0])
def test_the_search_finds_the_capacity_within_a_few_percent(capacity: float) -> None:
    tried: list[float] = []

    def measure(rate: float) -> Run:
        tried.append(rate)
        return measured(rate, 1000 * capacity)

    best = goodput.search(measure, 1000.0)
    assert best is not None
    assert best.scenario.rate is not None
    assert 0.75 * 1000 * capacity < best.scenario.rate <= 1000 * capacity
    assert len(tried) <= goodput.MAX_STEPS


def test_the_search_returns_none_where_no_rate_is_held() -> None:
    assert goodput.search(lambda rate: measured(rate, 0.0), 1000.0) is None


def test_a_rate_with_failures_is_not_held() -> None:
    assert goodput.search(lambda rate: measured(rate, 1e9, failed=2), 1000.0) is None
