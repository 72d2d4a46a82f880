"""``LatencyModel`` learns the expected time of a chunk from earlier chunks."""

from __future__ import annotations

import pytest

from celery_app.client.dispatch.latency_model import LatencyModel


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_expected_time_is_zero_before_the_first_chunk(clock: Clock) -> None:
    latency_model = LatencyModel(clock)
    assert latency_model.seconds(1000) == 0.0
    assert latency_model.until_back(1000, clock.now) == 0.0


def measured(clock: Clock, sizes: list[int], chunk_s: float, message_s: float) -> LatencyModel:
    """Returns a latency model that learned from chunks with these costs a chunk and a message."""
    latency_model = LatencyModel(clock)
    for size in sizes:
        sent_at = clock.now
        clock.now += chunk_s + size * message_s
        latency_model.came_back(size, sent_at)
    return latency_model


SIZES = [1, 20, 5, 9] * 10


@pytest.mark.parametrize(("chunk_s", "message_s"), [(0.2, 0.0), (0.0, 0.02), (0.05, 0.01)])
def test_costs_of_a_chunk_and_of_a_message_are_told_apart(
    clock: Clock, chunk_s: float, message_s: float
) -> None:
    latency_model = measured(clock, SIZES, chunk_s, message_s)
    for messages in (1, 10, 100):
        assert latency_model.seconds(messages) == pytest.approx(
            chunk_s + messages * message_s, rel=0.01
        )


def test_chunks_of_one_size_give_the_time_of_that_size(clock: Clock) -> None:
    latency_model = measured(clock, [7] * 20, 0.1, 0.01)
    assert latency_model.seconds(7) == pytest.approx(0.17)
    assert 0.17 <= latency_model.seconds(14) <= 0.34


def test_a_chunk_counts_from_when_the_chunk_before_it_was_back(clock: Clock) -> None:
    latency_model, sent_at = LatencyModel(clock), clock.now
    for _ in range(10):  # all were sent at once
        clock.now += 0.1
        latency_model.came_back(5, sent_at)
    assert latency_model.seconds(5) == pytest.approx(0.1)


def test_idle_time_between_chunks_does_not_count(clock: Clock) -> None:
    latency_model = LatencyModel(clock)
    for size in SIZES:
        sent_at = clock.now
        clock.now += 0.01 * size
        latency_model.came_back(size, sent_at)
        clock.now += 3.0
    assert latency_model.seconds(100) == pytest.approx(1.0, rel=0.01)


def test_old_chunks_count_little(clock: Clock) -> None:
    latency_model = measured(clock, SIZES, 0.2, 0.0)
    for size in SIZES * 2:
        sent_at = clock.now
        clock.now += 0.01 * size
        latency_model.came_back(size, sent_at)
    assert latency_model.seconds(100) == pytest.approx(1.0, rel=0.1)


def test_a_chunk_that_a_worker_died_with_counts_little(clock: Clock) -> None:
    latency_model = measured(clock, SIZES, 0.01, 0.0)
    sent_at = clock.now
    clock.now += 8.0
    latency_model.came_back(5, sent_at)
    assert latency_model.seconds(5) < 0.1
    assert latency_model.margin(1) < 0.1


def test_a_model_that_becomes_slower_changes_the_expected_time(clock: Clock) -> None:
    latency_model = measured(clock, SIZES, 0.01, 0.0)
    for size in SIZES:
        sent_at = clock.now
        clock.now += 0.5
        latency_model.came_back(size, sent_at)
    assert latency_model.seconds(5) == pytest.approx(0.5, rel=0.2)


def test_time_until_back_shrinks_while_the_chunk_is_in_flight(clock: Clock) -> None:
    latency_model = measured(clock, SIZES, 0.2, 0.01)
    sent_at = clock.now
    clock.now += 0.1
    assert latency_model.until_back(16, sent_at) == pytest.approx(0.26, rel=0.01)
    clock.now += 10.0
    assert latency_model.until_back(16, sent_at) == 0.0
