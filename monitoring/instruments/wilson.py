"""The confidence interval of a share, such as an accuracy."""

from __future__ import annotations

import math
from statistics import NormalDist


def wilson(right: int, total: int, level: float = 0.95) -> tuple[float, float]:
    """Returns the confidence interval of the share ``right / total``; ``total`` is at least 1.

    ``level`` is the probability that the interval holds the true share. Wilson 1927, "Probable
    Inference, the Law of Succession, and Statistical Inference".
    """
    z = NormalDist().inv_cdf((1 + level) / 2)
    share, spread = right / total, z * z / total
    middle = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(share * (1 - share) / total + spread / (4 * total))
    return max(0.0, middle - half), min(1.0, middle + half)
