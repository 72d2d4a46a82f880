"""The lines that the measurement of the file job prints, and whether they reach their targets."""

from __future__ import annotations

import msgspec
import pytest

from bench.file_job import live_line, memory_line, rate_line
from tests.unit.bench.runs import LATENCY, run, totals


@pytest.mark.parametrize(("ceiling", "reached"), [(2400.0, True), (2600.0, False)])
def test_the_rate_is_compared_with_the_bulk_ceiling(ceiling: float, reached: bool) -> None:
    line, found = rate_line(10_000, 5.0, 0.5, ceiling)
    assert line.startswith("job alone 2,000 rows/s, 50 us of CPU a row")
    assert found == reached


def test_memory_reaches_its_target_by_its_range() -> None:
    assert memory_line([50_000_000, 89_000_000])[1]
    assert not memory_line([50_000_000, 91_000_000])[1]
    line, reached = memory_line([])
    assert "too short" in line
    assert not reached


@pytest.mark.parametrize(
    ("p95_ms", "failed", "reached"), [(55.0, {}, True), (56.0, {}, False), (9.0, {"x": 1}, False)]
)
def test_live_messages_reach_their_target_if_all_are_answered_in_time(
    p95_ms: float, failed: dict[str, int], reached: bool
) -> None:
    latency = msgspec.structs.replace(LATENCY, p95_ms=p95_ms)
    line, found = live_line(run(latency=latency, totals=totals(failed=failed)), 1234.0, 9.0)
    assert line.startswith("beside a job of 1,234 rows/s, ")
    assert found == reached
