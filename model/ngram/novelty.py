"""How much of a text is new to the n-gram model: the share of its n-grams that training never saw.

Texts of another subject, time or language have many, long before their authors look strange.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from model.ngram import features

#: More than the idf's rounding, less than what one text more makes of it.
_SLACK = 1e-3


def never_seen(idf: NDArray[np.float32], training_texts: int) -> NDArray[np.bool_]:
    """Return for each row whether no training text had it, from its document frequency."""
    return np.asarray(idf > math.log(1 + training_texts) + 1 - _SLACK)


def shares(texts: Sequence[str], new: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return for each text the share of its n-grams, counted as often as they occur, in ``new``.

    ``texts`` may be many; each has one n-gram at least, as it is not empty.
    """
    found = []
    for start in range(0, len(texts), features.MOST_TEXTS):
        bags = features.count(texts[start : start + features.MOST_TEXTS])
        starts = bags.offsets[:-1]
        of_all = np.add.reduceat(bags.counts, starts)
        found.append(np.add.reduceat(np.where(new[bags.rows], bags.counts, 0), starts) / of_all)
    return np.concatenate(found)


def reference(texts: Sequence[str], new: NDArray[np.bool_]) -> dict[str, float]:
    """Return the card's mean and standard deviation, from messages that training never saw."""
    found = shares(texts, new)
    return {"mean": round(float(found.mean()), 6), "deviation": round(float(found.std()), 6)}
