"""The Lua script of the rate limit on a real Valkey, with a clock that the test sets."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from fractions import Fraction

import pytest

from api.access.rate_limiter import SCRIPT
from tests.parts import Stack

#: The script with the test's clock, in microseconds, and with a fixed time to live of its key.
CLOCK = SCRIPT.replace("redis.call('TIME')", "{0, ARGV[3]}")
CLOCK = CLOCK.replace("math.ceil(owed / rate / 1000) + 1", "600000")
NOW = 1_900_000_000_123_457
RATES = ["0.001", "0.007", "0.3", "1", "3", "6.999", "50", "333.333", "70001.7", "999999.999"]
RATES += ["1000000"]
AMOUNTS = [1, 2, 3, 7, 200, 255, 256, 1_000_003, 9_007_199]  # the largest that 2^53 allows

Ask = Callable[[str, str, int, int], int]


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    """A function that asks for ``amount`` messages. It returns the microseconds to wait."""
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
    """A bulk may have any size, also at the microsecond when an earlier bulk is paid off."""
    for amount in AMOUNTS:
        key, paid_off = f"idle {rate} {amount}", -(-amount * 10**6 // Fraction(rate))
        assert ask(key, rate, amount, NOW) == 0
        if NOW + paid_off < 2**53:
            assert ask(key, rate, amount, NOW + paid_off) == 0, amount


@pytest.mark.parametrize("rate", [rate for rate in RATES if Fraction(rate) >= 1])
def test_messages_for_one_second_pass_at_once_and_no_more(ask: Ask, rate: str) -> None:
    whole, key = int(Fraction(rate)), f"burst {rate}"
    assert ask(key, rate, whole - 1, NOW) == 0
    assert ask(key, rate, 1, NOW) == 0
    wait = -(-(whole + 1 - Fraction(rate)) * 10**6 // Fraction(rate))
    assert ask(key, rate, 1, NOW) == wait > 0


@pytest.mark.parametrize("seed", range(8))
def test_any_sequence_of_requests_is_counted_exactly(ask: Ask, seed: int) -> None:
    """Compares with a bucket of fractions. A client that waits as long as required passes."""
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


def test_a_clock_that_was_set_back_locks_no_key_out(ask: Ask) -> None:
    assert ask("back", "5", 5, NOW) == 0
    assert ask("back", "5", 5, NOW - 3_600_000_000) == 0
    assert ask("back", "5", 5, NOW - 3_600_000_000) == 1_000_000


def test_a_changed_rate_counts_from_zero(ask: Ask) -> None:
    assert ask("changed", "1000000", 1_000_000, NOW) == 0
    assert ask("changed", "0.001", 1, NOW) == 0


def test_the_count_of_a_key_expires_when_it_is_paid_off(own: Stack) -> None:
    assert own.redis.eval(SCRIPT, 1, "kept", 4000, 4) == 0
    assert 0 < own.redis.pttl("kept") <= 1001
