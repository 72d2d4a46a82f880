"""Chance alone rarely crosses the thresholds of the quality signals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom, chi2

from monitoring.monitor import significance
from monitoring.monitor.significance import (
    FALSE_ALARM,
    chi_squared_quantile,
    divergence,
    divergence_noise,
    mean_noise,
    pooled,
    share_above,
)


@pytest.mark.parametrize("freedom", [1, 2, 5, 14, 40, 200])
def test_chi_squared_quantile_is_exact_to_fifteen_percent(freedom: int) -> None:
    exact = chi2.isf(FALSE_ALARM, freedom)
    assert exact * 0.999 < chi_squared_quantile(freedom) < exact * 1.15


def test_divergence_is_symmetric_and_between_0_and_1() -> None:
    assert divergence([0.5, 0.5], [0.5, 0.5]) == 0
    assert divergence([1, 0], [0, 1]) == pytest.approx(1)
    assert divergence([0.9, 0.1], [0.5, 0.5]) == divergence([0.5, 0.5], [0.9, 0.1])


def test_rare_categories_are_pooled() -> None:
    ours, theirs = pooled([50, 40, 6, 4], [0.5, 0.42, 0.04, 0.04])
    assert ours == [0.1, 0.5, 0.4]
    assert theirs == [0.08, 0.5, 0.42]
    assert pooled([50, 50], [0.5, 0.5]) == ([0.5, 0.5], [0.5, 0.5])


@pytest.mark.parametrize("seen", [60, 500, 20_000])
def test_chance_rarely_exceeds_the_divergence_noise(
    seen: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a false-alarm rate of 1 %, about one draw in a hundred crosses the threshold."""
    monkeypatch.setattr(significance, "_Z", significance.NormalDist().inv_cdf(0.99))
    generator = np.random.default_rng(1)
    shares = generator.dirichlet(np.ones(41))
    crossed = 0
    for _ in range(1000):
        reference = generator.multinomial(5000, shares) / 5000
        ours, theirs = pooled(generator.multinomial(seen, shares).tolist(), reference.tolist())
        crossed += divergence(ours, theirs) > divergence_noise(len(ours), seen, 5000)
    assert crossed <= 30


@pytest.mark.parametrize("expected", [0.0, 0.0058, 0.05, 0.39, 0.9])
@pytest.mark.parametrize("seen", [30, 100, 1000])
def test_chance_rarely_exceeds_the_share_bound(expected: float, seen: int) -> None:
    threshold = share_above(expected, seen, 10**9)
    assert binom.sf(threshold * seen, seen, expected) <= FALSE_ALARM
    # The bound is tight: chance exceeds a somewhat lower share more often.
    closer = expected + 0.6 * (threshold - expected)
    assert expected == 0 or binom.sf(closer * seen, seen, expected) > FALSE_ALARM


def test_mean_noise_shrinks_with_the_number_of_messages() -> None:
    assert mean_noise(0.25, 100, 10**9) == pytest.approx(4.265 * 0.5 / 10, rel=1e-3)
    assert mean_noise(0.25, 10_000, 10**9) < mean_noise(0.25, 100, 10**9) / 9
