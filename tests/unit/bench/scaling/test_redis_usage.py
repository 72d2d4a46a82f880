"""Tests of the computation of a message's cost for Valkey."""

from __future__ import annotations

import math

import pytest

from bench.scaling.redis_usage import BUSY, Cost, Counters, between, cost, middle, shards

IDLE = Counters(seconds=10.0, calls={"ping": 20, "get": 10}, main_s=0.1, all_s=0.2, traffic=1000)


def a_cost(**changes: object) -> Cost:
    fields: dict[str, object] = {
        "messages": 1000,
        "throughput": 500.0,
        "calls": {"set": 1.0, "hset": 0.1, "mget": 0.2},
        "main_us": 25.0,
        "all_us": 30.0,
        "traffic": 1200.0,
    }
    return Cost(**fields | changes)  # type: ignore[arg-type]


def test_between_returns_the_growth_of_the_counters() -> None:
    before = Counters(100.0, {"get": 5}, 1.0, 2.0, 300)
    after = Counters(104.0, {"get": 8, "set": 7}, 1.5, 2.75, 1000)
    assert between(before, after) == Counters(4.0, {"get": 3, "set": 7}, 0.5, 0.75, 700)


def test_the_cost_of_a_message_excludes_an_idle_systems_work() -> None:
    load = Counters(5.0, {"set": 1000, "ping": 10, "get": 105}, 0.25, 0.5, 100_500)
    found = cost(load, IDLE, messages=1000, throughput=250.0)
    assert found.calls == {"set": 1.0, "ping": 0.0, "get": pytest.approx(0.1)}
    assert (found.main_us, found.all_us) == (pytest.approx(200.0), pytest.approx(400.0))
    assert found.traffic == pytest.approx(100.0)
    assert (found.messages, found.throughput) == (1000, 250.0)


def test_an_idle_system_that_did_more_by_chance_gives_no_negative_cost() -> None:
    load = Counters(10.0, {"ping": 5}, 0.05, 0.1, 10)
    found = cost(load, IDLE, messages=10, throughput=1.0)
    assert found.calls == {"ping": 0.0}
    assert (found.main_us, found.all_us, found.traffic) == (0.0, 0.0, 0.0)


def test_figures_of_a_cost() -> None:
    found = a_cost()
    assert found.commands == pytest.approx(1.3)
    assert found.per_task == pytest.approx(10.0)
    assert found.saturation == pytest.approx(40_000.0)


def test_cached_messages_belong_to_no_task() -> None:
    assert a_cost(calls={"mget": 0.1}).per_task == math.inf


def test_the_median_of_rounds_is_taken_figure_by_figure() -> None:
    rounds = [
        a_cost(main_us=30.0, all_us=31.0, calls={"set": 1.0}),
        a_cost(main_us=10.0, all_us=33.0, calls={"set": 3.0, "del": 0.5}),
        a_cost(main_us=20.0, all_us=32.0, calls={"set": 2.0, "del": 0.1}),
    ]
    found = middle(rounds)
    assert (found.main_us, found.all_us) == (20.0, 32.0)
    assert found.calls == {"set": 2.0, "del": 0.1}


@pytest.mark.parametrize(
    ("rate", "saturation", "needed"),
    [(100_000, 100_000 / BUSY, 1), (100_000, 99_000 / BUSY, 2), (100_000, 25_000, 6)],
)
def test_no_shard_is_busier_than_it_may_be(rate: float, saturation: float, needed: int) -> None:
    assert shards(rate, saturation) == needed
    assert rate / needed / saturation <= BUSY * (1 + 1e-9)
