"""Statistics for the quality signals: how large a difference chance alone can explain.

With fewer messages, chance can explain a larger difference. So a threshold is further from the
expected value if there are few messages.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

#: Probability that a signal crosses its threshold in one computation although nothing has changed.
#: The monitor computes six signals fifteen times a minute, and two computations in a row use mostly
#: the same messages.
FALSE_ALARM = 1e-5
#: Minimum number of messages expected in a category. Rarer categories are counted together.
MIN_EXPECTED = 5.0

_Z = NormalDist().inv_cdf(1 - FALSE_ALARM)


def mean_noise(variance: float, seen: int, reference: int) -> float:
    """Returns how far the means of two samples of one distribution may differ by chance.

    ``variance`` is the variance of the distribution. ``seen`` and ``reference`` are the samples'
    sizes.
    """
    return _Z * math.sqrt(variance * (1 / seen + 1 / reference))


def share_above(expected: float, seen: int, reference: int) -> float:
    """Returns Chernoff's bound (1952): the largest share in a sample that chance alone can explain.

    ``expected`` is the share in a reference sample. ``seen`` and ``reference`` are the two samples'
    sizes.
    """
    # The bound also holds for rare events. The Kullback-Leibler divergence of the bound from
    # ``expected`` is (1/seen + 1/reference) * ln(1/FALSE_ALARM).
    allowed = -math.log(FALSE_ALARM) * (1 / seen + 1 / reference)
    low, high = expected, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        if _relative_entropy(middle, expected) < allowed:
            low = middle
        else:
            high = middle
    return high


def _relative_entropy(share: float, expected: float) -> float:
    parts = ((share, expected), (1 - share, 1 - expected))
    return sum(p * math.log(p / q) if q > 0 else math.inf for p, q in parts if p > 0)


def divergence(first: Sequence[float], second: Sequence[float]) -> float:
    """Returns the Jensen-Shannon divergence of two distributions, in bits.

    The divergence is 0 for equal distributions, and 1 for distributions that share no category. For
    the definition, see Lin 1991, "Divergence Measures Based on the Shannon Entropy".
    """
    total = 0.0
    for p, q in zip(first, second, strict=True):
        middle = (p + q) / 2
        total += sum(share * math.log2(share / middle) for share in (p, q) if share > 0) / 2
    return max(0.0, total)


def divergence_noise(categories: int, seen: int, reference: int) -> float:
    """Returns how far two samples of one distribution may diverge by chance, in bits.

    The distribution has ``categories`` categories. ``seen`` and ``reference`` are the samples'
    sizes.
    """
    if categories < 2:
        return 1.0
    # For small differences the divergence, in nats, is an eighth of the chi-squared distance of the
    # two samples. That distance, divided by (1/seen + 1/reference), has a chi-squared distribution
    # with ``categories - 1`` degrees of freedom.
    quantile = chi_squared_quantile(categories - 1)
    return min(1.0, quantile * (1 / seen + 1 / reference) / (8 * math.log(2)))


def chi_squared_quantile(freedom: int) -> float:
    """Returns the value that a chi-squared variable exceeds with probability ``FALSE_ALARM``.

    ``freedom`` is the number of degrees of freedom. The approximation is from Wilson and Hilferty
    1931, "The Distribution of Chi-Square".
    """
    # The approximation treats the cube root of the variable as normal.
    ninth = 2 / (9 * freedom)
    return float(freedom * (1 - ninth + _Z * math.sqrt(ninth)) ** 3)


def pooled(seen: Sequence[int], reference: Sequence[float]) -> tuple[list[float], list[float]]:
    """Returns the shares of two distributions, with all rare categories pooled into one category.

    ``seen`` has counts, not all 0. ``reference`` has shares that add up to 1. A category is rare if
    its share in ``reference``, times the sum of the counts, is less than :data:`MIN_EXPECTED`.
    """
    total = sum(seen)
    ours, theirs = [0.0], [0.0]
    for count, share in zip(seen, reference, strict=True):
        if share * total < MIN_EXPECTED:
            ours[0] += count / total
            theirs[0] += share
        else:
            ours.append(count / total)
            theirs.append(share)
    return (ours, theirs) if ours[0] or theirs[0] else (ours[1:], theirs[1:])
