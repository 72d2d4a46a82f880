"""Tests of the soak's detection of growing memory and open files."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from bench.system.growth import FILES, FILLING, LOOK_S, LOOKS, MEGABYTES, SETTLE_S, Watch, grown

#: Number of samples at the beginning that do not count.
FILLING_LOOKS = int(SETTLE_S / LOOK_S)
#: Number of samples in ten minutes.
ALL = 120

#: A function that returns megabytes, or open files, for the number of a sample.
Size = Callable[[int], float]


def watch(part: str, size: Size, count: int = ALL, files: Size = lambda look: 20) -> Watch:
    """Returns a watch with ``count`` samples of one process."""
    looks = [(LOOK_S * n, int(1e6 * size(n)), int(files(n))) for n in range(count)]
    return Watch({(part, 1): looks})


def megabytes(size: Size, count: int = ALL) -> float:
    found = watch("worker-1", size, count).growth()["worker-1"]
    assert found is not None
    return found[0]


@pytest.mark.parametrize("looks", [1, 2, 6, 12])
def test_a_leak_is_seen_however_seldom_it_shows(looks: int) -> None:
    """The leak is 12 MB a minute: 1 MB a sample, or 2 MB at every second sample, and so on."""
    assert megabytes(lambda n: 100 + looks * (n // looks)) == pytest.approx(12, rel=0.1)


@pytest.mark.parametrize("at", [0.2, 0.4, 0.6, 0.8])
def test_a_single_step_is_no_growth(at: float) -> None:
    assert megabytes(lambda n: 100 + 11 * (n > at * ALL)) == pytest.approx(0, abs=0.01)


def test_steps_that_level_off_are_within_what_the_api_may() -> None:
    """The steps are those of an api that was frozen three times in two and a half minutes."""
    seen = watch("api", lambda n: 60 + 10.8 * (n > 12) + 3.7 * (n > 18) + 0.9 * (n > 25), 30)
    assert grown(seen.growth()) == []


def test_noise_is_no_growth() -> None:
    noise = np.random.default_rng(7).normal(scale=3, size=ALL)
    assert abs(megabytes(lambda n: 100 + noise[n])) < 0.5


def test_caches_that_fill_at_first_do_not_count_as_growth() -> None:
    assert megabytes(lambda n: min(n, FILLING_LOOKS)) == 0


def test_growing_open_files_are_reported() -> None:
    a_minute = (FILES + 1) * LOOK_S / 60
    seen = watch("monitor", lambda n: 50, files=lambda n: 20 + n * a_minute)
    assert grown(seen.growth()) == ["monitor has grown"]


def test_only_looks_at_the_same_process_are_compared() -> None:
    """The second process uses more memory than the first, and neither grows."""
    seen = watch("worker-1", lambda n: 100, 30)
    seen.looks["worker-1", 2] = [(1000 + LOOK_S * n, 200_000_000, 20) for n in range(30)]
    assert seen.growth() == {"worker-1": (0, 0)}


@pytest.mark.parametrize(("part", "words"), [("flower", ["flower has grown"]), (FILLING, [])])
def test_a_part_that_still_fills_up_is_shown_and_not_judged(part: str, words: list[str]) -> None:
    a_look = (MEGABYTES + 1) * LOOK_S / 60
    seen = watch(part, lambda n: 50 + n * a_look)
    seen.looks["monitor", 2] = [(LOOK_S * n, 50_000_000, 20) for n in range(ALL)]
    found = seen.growth()[part]
    assert found is not None
    assert found[0] > MEGABYTES
    assert grown(seen.growth()) == words


def test_a_part_seen_too_briefly_is_unknown_and_no_judged_part_is_a_failure() -> None:
    growth = watch("worker-1", lambda n: n, FILLING_LOOKS + LOOKS - 1).growth()
    assert growth == {"worker-1": None}
    assert grown(growth) == ["no part was seen for long enough to be judged"]
    assert grown({}) == grown(growth)
