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


def test_a_steady_pace_is_found(clock: Clock) -> None:
    pace = Pace(clock)
    for _ in range(50):
        pace.sent()
        clock.now += 0.1
        pace.came_back(20, more=True)
    assert pace.seconds(100) == pytest.approx(0.5)


def test_idle_time_does_not_count(clock: Clock) -> None:
    pace = Pace(clock)
    for _ in range(50):
        pace.sent()
        clock.now += 0.1
        pace.came_back(20, more=False)
        clock.now += 3.0
    assert pace.seconds(100) == pytest.approx(0.5)


def test_what_was_long_ago_counts_little(clock: Clock) -> None:
    pace = Pace(clock)
    pace.sent()
    for per_second in (1000, 100):
        for _ in range(100):
            clock.now += 0.1
            pace.came_back(per_second // 10, more=True)
    assert pace.seconds(100) == pytest.approx(1.0, rel=0.1)
