"""When a difference means something: thresholds that grow where there are few messages."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

#: How often, at one look, a threshold may be crossed though nothing has changed. The monitor looks
#: fifteen times a minute at six signals, at messages that are mostly the same from look to look.
FALSE_ALARM = 1e-5
#: Expected messages that a category must have to be looked at by itself; the rarer are one.
LEAST_EXPECTED = 5.0

_Z = NormalDist().inv_cdf(1 - FALSE_ALARM)


def wilson(right: int, total: int, level: float = 0.95) -> tuple[float, float]:
    """Return the interval for a share of which ``right`` in ``total`` were seen; total > 0.

    Wilson 1927, "Probable Inference, the Law of Succession, and Statistical Inference".
    """
    z = NormalDist().inv_cdf((1 + level) / 2)
    share, spread = right / total, z * z / total
    middle = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(share * (1 - share) / total + spread / (4 * total))
    return max(0.0, middle - half), min(1.0, middle + half)


def noise(variance: float, seen: int, reference: int) -> float:
    """Return how far two means of the same distribution may be apart by chance."""
    return _Z * math.sqrt(variance * (1 / seen + 1 / reference))


def share_above(expected: float, seen: int, reference: int) -> float:
    """Return the share that is not exceeded by chance where ``expected`` is the true one.

    By Chernoff's bound (1952), which holds for rare events, too: the Kullback-Leibler divergence
    of the two shares, times the messages, is the logarithm of one over the probability.
    """
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
    """Return the Jensen-Shannon divergence of two distributions in bits: 0 alike, 1 disjoint.

    Lin 1991, "Divergence Measures Based on the Shannon Entropy".
    """
    total = 0.0
    for p, q in zip(first, second, strict=True):
        middle = (p + q) / 2
        total += sum(share * math.log2(share / middle) for share in (p, q) if share > 0) / 2
    return max(0.0, total)


def divergence_noise(categories: int, seen: int, reference: int) -> float:
    """Return how far two samples of one distribution may diverge by chance, in bits.

    For small differences the divergence is an eighth of the chi-squared distance of the two, in
    nats, and that distance over (1/seen + 1/reference) has a chi-squared distribution with one
    degree of freedom less than there are categories.
    """
    if categories < 2:
        return 1.0
    quantile = chi_squared_quantile(categories - 1)
    return min(1.0, quantile * (1 / seen + 1 / reference) / (8 * math.log(2)))


def chi_squared_quantile(freedom: int) -> float:
    """Return what a chi-squared variable exceeds with the probability ``FALSE_ALARM``.

    Wilson and Hilferty 1931, "The Distribution of Chi-Square": its cube root is nearly normal.
    """
    ninth = 2 / (9 * freedom)
    return float(freedom * (1 - ninth + _Z * math.sqrt(ninth)) ** 3)


def pooled(seen: Sequence[int], reference: Sequence[float]) -> tuple[list[float], list[float]]:
    """Return both as shares, with those categories as one of which few messages are expected.

    ``seen`` are counts, with one in all at least; ``reference`` are shares that add up to one.
    """
    total = sum(seen)
    ours, theirs = [0.0], [0.0]
    for count, share in zip(seen, reference, strict=True):
        if share * total < LEAST_EXPECTED:
            ours[0] += count / total
            theirs[0] += share
        else:
            ours.append(count / total)
            theirs.append(share)
    return (ours, theirs) if ours[0] or theirs[0] else (ours[1:], theirs[1:])
