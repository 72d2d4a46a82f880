"""Measures how new a text is to the n-gram model: the share of n-grams that training never saw.

Texts of another subject, time or language have many such n-grams. The share shows a change of the
traffic long before the predicted authors' shares do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from model.ngram import features

#: Tolerance for comparing an idf. It is more than the rounding error of an idf, and less than the
#: difference that one more text makes.
_TOLERANCE = 1e-3


def unseen_rows(
    row_weights: NDArray[np.float32], training_texts: int, power: float
) -> NDArray[np.bool_]:
    """Returns, for each row of the weight table, whether training never saw it, shape (ROWS,).

    ``row_weights`` has each row's inverse document frequency to the power of ``power``.
    """
    # A row that no training text has gets the largest possible inverse document frequency.
    return np.asarray(row_weights > (math.log(1 + training_texts) + 1 - _TOLERANCE) ** power)


def unseen_shares(texts: Sequence[str], is_unseen: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Returns, for each text, the share of its n-grams that training never saw, 0 to 1.

    An n-gram that occurs twice counts twice. No text may be empty. ``is_unseen`` comes from
    :func:`unseen_rows`.
    """
    found = []
    for start in range(0, len(texts), features.MAX_TEXTS):
        bags = features.count(texts[start : start + features.MAX_TEXTS])
        starts = bags.offsets[:-1]
        # Every text must have an n-gram, so no text may be empty.
        totals = np.add.reduceat(bags.counts, starts)
        unseen = np.add.reduceat(np.where(is_unseen[bags.rows], bags.counts, 0), starts)
        found.append(unseen / totals)
    return np.concatenate(found)


def reference(texts: Sequence[str], is_unseen: NDArray[np.bool_]) -> dict[str, float]:
    """Returns the mean and the standard deviation of the texts' shares of unseen n-grams.

    The texts are the held-out messages. The model card keeps both numbers.
    """
    shares = unseen_shares(texts, is_unseen)
    return {"mean": round(float(shares.mean()), 6), "deviation": round(float(shares.std()), 6)}
