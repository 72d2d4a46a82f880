"""Which words of a text speak for an author: exact where the model is linear in its features."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from model.ngram import features
from model.ngram.parameters import Weights
from model.types import Evidence, Part

#: Parts listed; the weight of the others is summed up.
PARTS = 12
#: Characters of a part that are shown, the first. A text without spaces is one part, and its
#: evidence is kept with the attribution.
SHOWN = 100
#: A word and the white space that follows it, which counts but is not shown.
_PART = re.compile(r"\S+\s*|\s+")


def explain(weights: Weights, text: str, author: str, index: int) -> Evidence:
    """Return the strongest parts of ``text`` for the author whose class is ``index``.

    The score is the author's logit less the mean over all authors, over the temperature. Each
    occurrence of an n-gram has an equal share of its row's part in that sum, spread evenly over
    its characters.
    """
    return of_characters(text, author, *per_character(weights, text, index))


def of_characters(text: str, author: str, shares: NDArray[np.float64], bias: float) -> Evidence:
    """Return evidence from the share of each character in the score, and what no character has.

    A word's weight is the sum over its characters and the white space after it.
    """
    spans = [match.span() for match in _PART.finditer(text)]
    starts = np.array([start for start, _ in spans], np.int64)
    sums = np.add.reduceat(shares, starts) if spans else starts
    parts = [
        Part(text[start:end].rstrip()[:SHOWN], start, float(weight))
        for (start, end), weight in zip(spans, sums, strict=True)
    ]
    parts.sort(key=lambda part: -abs(part.weight))
    rest = sum(part.weight for part in parts[PARTS:])
    score = bias + float(shares.sum())
    return Evidence(author, score, bias, tuple(parts[:PARTS]), rest)


def per_character(weights: Weights, text: str, index: int) -> tuple[NDArray[np.float64], float]:
    """Return the share of each character of ``text`` in the score, and the bias's share."""
    bags = features.count([text])
    table = weights.rows(bags.rows)
    temperature = weights.temperature.item()
    centred = (table[:, index] - table.mean(1)) / temperature
    # For one occurrence of each row, in the order of bags.rows, which is ascending.
    each = bags.values(weights.idf.numpy()) * centred / bags.counts
    steps = np.zeros(len(text) + 1)
    for family in features.families(text):
        share = each[np.searchsorted(bags.rows, family.rows)] / (family.last - family.first + 1)
        np.add.at(steps, family.first, share)
        np.subtract.at(steps, family.last + 1, share)
    bias = (weights.bias[index] - weights.bias.mean()).item() / temperature
    return np.cumsum(steps)[:-1], bias
