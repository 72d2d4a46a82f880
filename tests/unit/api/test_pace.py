"""How long what waits will take."""

from __future__ import annotations

import pytest

from api.pace import Pace


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_nothing_is_known_at_first(clock: Clock) -> None:
    assert Pace(clock).seconds(1000) == 0.0


def measured(clock: Clock, sizes: list[int], chunk_s: float, message_s: float) -> Pace:
    """Return the pace of a model for which a chunk and each of its messages take so long."""
    pace = Pace(clock)
    for size in sizes:
        pace.sent()
        clock.now += chunk_s + size * message_s
        pace.came_back(size, more=True)
    return pace


SIZES = [1, 20, 5, 9] * 10


@pytest.mark.parametrize(("chunk_s", "message_s"), [(0.2, 0.0), (0.0, 0.02), (0.05, 0.01)])
def test_what_a_chunk_and_a_message_cost_is_found(
    clock: Clock, chunk_s: float, message_s: float
) -> None:
    pace = measured(clock, SIZES, chunk_s, message_s)
    for messages in (1, 10, 100):
        assert pace.seconds(messages) == pytest.approx(chunk_s + messages * message_s)


def test_chunks_of_one_size_tell_what_that_size_takes(clock: Clock) -> None:
    pace = measured(clock, [7] * 20, 0.1, 0.01)
    assert pace.seconds(7) == pytest.approx(0.17)
    assert 0.17 <= pace.seconds(14) <= 0.34


def test_idle_time_does_not_count(clock: Clock) -> None:
    pace = Pace(clock)
    for size in SIZES:
        pace.sent()
        clock.now += 0.01 * size
        pace.came_back(size, more=False)
        clock.now += 3.0
    assert pace.seconds(100) == pytest.approx(1.0)


def test_what_was_long_ago_counts_little(clock: Clock) -> None:
    pace = measured(clock, SIZES, 0.2, 0.0)
    pace.sent()
    for size in SIZES:
        clock.now += 0.01 * size
        pace.came_back(size, more=True)
    assert pace.seconds(100) == pytest.approx(1.0, rel=0.1)


def test_a_message_waits_for_what_is_away_and_for_what_leaves_before_it(clock: Clock) -> None:
    pace = measured(clock, SIZES, 0.2, 0.01)
    assert pace.until_answered([], 0, 16) == pytest.approx(0.21, rel=0.01)
    assert pace.until_answered([16, 16], 0, 16) == pytest.approx(2 * 0.36 + 0.21, rel=0.01)
    assert pace.until_answered([16], 40, 16) == pytest.approx(3 * 0.36 + 0.29, rel=0.01)
    clock.now += 0.1
    assert pace.until_answered([16], 0, 16) == pytest.approx(0.26 + 0.21, rel=0.01)
