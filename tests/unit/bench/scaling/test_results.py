"""Tests of the figures that a scaling study computes from its rounds."""

from __future__ import annotations

import pytest

from bench.scaling.results import Point, Replay, Round, by_kind, rotated, speed_ups


def a_round(throughput: float, **cpu: float) -> Round:
    return Round(throughput=throughput, p95_ms=20.0, failed=0, cpu=cpu, others=0.0)


def point(load: str, count: int, *rates: float) -> Point:
    return Point(load, count, [a_round(rate, api=0.5) for rate in rates])


def test_the_order_rotates_and_each_item_comes_once_a_round() -> None:
    assert [rotated((1, 2, 4), number) for number in range(4)] == [
        [1, 2, 4],
        [2, 4, 1],
        [4, 1, 2],
        [1, 2, 4],
    ]


def test_workers_count_together_and_monitoring_is_the_rest() -> None:
    cpu = {"worker-1": 0.25, "worker-2": 0.5, "api": 0.125, "flower": 0.25, "monitor": 0.5}
    assert by_kind(cpu) == {"worker": 0.75, "api": 0.125, "rest": 0.75}
    assert by_kind({"worker": 0.5}) == {"worker": 0.5}


def test_a_point_is_the_median_of_its_rounds() -> None:
    found = point("HTTP", 2, 900.0, 500.0, 1000.0)
    assert found.throughput == 900.0
    assert found.spread == (500.0, 1000.0)
    assert found.cores("api") == 0.5
    assert found.cores("worker") == 0.0
    assert found.microseconds("api") == pytest.approx(1e6 * 0.5 / 900)


def test_speed_ups_are_relative_to_the_fewest_parts_of_the_same_load() -> None:
    points = [
        point("tasks", 4, 1200.0),
        point("HTTP", 1, 200.0),
        point("tasks", 1, 400.0),
        point("HTTP", 8, 1500.0),
    ]
    assert speed_ups(points) == [3.0, 1.0, 1.0, 7.5]


def test_the_ceiling_is_by_the_median_of_the_replays() -> None:
    assert Replay("HTTP", 1000, 5000, [0.1, 0.02, 0.01]).ceiling == pytest.approx(50_000.0)
