"""The rate script on a real Valkey, with a clock that stands still or jumps as the test says."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from fractions import Fraction

import pytest

from api.access.rate_limiter import SCRIPT
from tests.parts import Stack

#: With the test's clock, in microseconds, in the place of the server's, also for what is kept.
CLOCK = SCRIPT.replace("redis.call('TIME')", "{0, ARGV[3]}")
CLOCK = CLOCK.replace("math.ceil(owed / rate / 1000) + 1", "600000")
NOW = 1_900_000_000_123_457
RATES = ["0.001", "0.007", "0.3", "1", "3", "6.999", "50", "333.333", "70001.7", "999999.999"]
RATES += ["1000000"]
AMOUNTS = [1, 2, 3, 7, 200, 255, 256, 1_000_003, 9_007_199]  # what 2^53 is enough for

Ask = Callable[[str, str, int, int], int]


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    """Ask for a key, at a rate, for so many messages, at a time; returns microseconds to wait."""
    stack = Stack(tmp_path_factory.mktemp("rates"))

    def ask(key: str, rate: str, amount: int, now: int) -> int:
        return int(stack.redis.eval(CLOCK, 1, key, int(Fraction(rate) * 1000), amount, now))

    try:
        stack.valkey()
        yield ask
    finally:
        stack.close()


@pytest.mark.parametrize("rate", RATES)
def test_the_first_bulk_of_an_idle_key_is_let_through(ask: Ask, rate: str) -> None:
    """Whatever its size, also after an earlier one was paid off to the microsecond."""
    for amount in AMOUNTS:
        key, paid_off = f"idle {rate} {amount}", -(-amount * 10**6 // Fraction(rate))
        assert ask(key, rate, amount, NOW) == 0
        if NOW + paid_off < 2**53:
            assert ask(key, rate, amount, NOW + paid_off) == 0, amount


@pytest.mark.parametrize("rate", [rate for rate in RATES if Fraction(rate) >= 1])
def test_a_second_s_worth_is_let_through_at_once_and_no_more(ask: Ask, rate: str) -> None:
    whole, key = int(Fraction(rate)), f"burst {rate}"
    assert ask(key, rate, whole - 1, NOW) == 0
    assert ask(key, rate, 1, NOW) == 0
    wait = -(-(whole + 1 - Fraction(rate)) * 10**6 // Fraction(rate))
    assert ask(key, rate, 1, NOW) == wait > 0


@pytest.mark.parametrize("seed", range(8))
def test_any_course_of_requests_is_counted_exactly(ask: Ask, seed: int) -> None:
    """Beside a bucket of fractions. Who waits as long as it is told is let through."""
    course = random.Random(seed)
    rate = course.choice(RATES)
    owed, at, now = Fraction(0), NOW, NOW
    for _ in range(150):
        amount = course.choice([1, 1, 1, 5, 256, course.randint(1, 100_000)])
        now += course.choice([0, 1, 999, int(10**6 * amount // Fraction(rate))])
        owed, at = max(Fraction(0), owed - (now - at) * Fraction(rate) / 10**6), now
        excess = owed + amount - max(Fraction(rate), amount)
        wait = ask(f"course {seed}", rate, amount, now)
        assert wait == max(0, -(-excess * 10**6 // Fraction(rate))), (rate, amount, owed)
        if wait and course.random() < 0.3:
            now += wait
            owed, at = max(Fraction(0), owed - wait * Fraction(rate) / 10**6), now
            assert ask(f"course {seed}", rate, amount, now) == 0
            owed += amount
        elif not wait:
            owed += amount


def test_a_clock_that_was_set_back_locks_nobody_out(ask: Ask) -> None:
    assert ask("back", "5", 5, NOW) == 0
    assert ask("back", "5", 5, NOW - 3_600_000_000) == 0
    assert ask("back", "5", 5, NOW - 3_600_000_000) == 1_000_000


def test_a_rate_that_was_changed_counts_from_nothing(ask: Ask) -> None:
    assert ask("changed", "1000000", 1_000_000, NOW) == 0
    assert ask("changed", "0.001", 1, NOW) == 0


def test_what_is_kept_goes_by_itself_once_it_is_paid_off(own: Stack) -> None:
    assert own.redis.eval(SCRIPT, 1, "kept", 4000, 4) == 0
    assert 0 < own.redis.pttl("kept") <= 1001
