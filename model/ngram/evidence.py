"""Explains a prediction of the n-gram model: which words of a text speak for an author."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from model.ngram import features
from model.ngram.parameters import Weights
from model.types import Evidence, Part

#: Number of parts in the evidence. The weights of all other parts are added up.
MAX_PARTS = 12
#: Largest number of characters of a part in the evidence. The limit saves memory in the result
#: cache, because a text without spaces is a single part.
PART_CHARACTERS = 100
#: A part: a word and the white space after it. The weight includes the white space, but the
#: evidence does not show it.
_PART = re.compile(r"\S+\s*|\s+")


def explain(weights: Weights, text: str, author: str, index: int) -> Evidence:
    """Returns the parts of ``text`` that speak most for and against ``author``.

    The evidence is exact, because the model is linear in its n-grams. ``index`` is the author's
    index in the model card.
    """
    return from_characters(text, author, *character_scores(weights, text, index))


def from_characters(text: str, author: str, scores: NDArray[np.float64], bias: float) -> Evidence:
    """Returns the evidence, given how much each character of ``text`` adds to the author's score.

    ``scores[i]`` is what the character ``text[i]`` adds, and ``bias`` is the rest of the score. The
    weight of a part (a word and the white space after it) is the sum of its characters' scores.
    """
    spans = [match.span() for match in _PART.finditer(text)]
    starts = np.array([start for start, _ in spans], np.int64)
    sums = np.add.reduceat(scores, starts) if spans else starts
    parts = [
        Part(text[start:end].rstrip()[:PART_CHARACTERS], start, float(weight))
        for (start, end), weight in zip(spans, sums, strict=True)
    ]
    parts.sort(key=lambda part: -abs(part.weight))
    rest = sum(part.weight for part in parts[MAX_PARTS:])
    score = bias + float(scores.sum())
    return Evidence(author, score, bias, tuple(parts[:MAX_PARTS]), rest)


def character_scores(weights: Weights, text: str, index: int) -> tuple[NDArray[np.float64], float]:
    """Returns what each character of ``text`` adds to an author's score, and the bias.

    :class:`model.types.Evidence` defines the score and the bias. ``index`` is the author's index in
    the model card.
    """
    bags = features.count([text], weights.vocabulary)
    table = weights.rows(bags.rows)
    temperature = weights.temperature.item()
    centred = (table[:, index] - table.mean(1)) / temperature
    # How much one occurrence of each row adds, in the order of bags.rows, which is ascending.
    per_occurrence = bags.values(weights.row_weights.numpy()) * centred / bags.counts
    steps = np.zeros(len(text) + 1)
    for family in features.families(text):
        rows, known = weights.vocabulary.find(family.hashes)
        first, last = family.first[known], family.last[known]
        added = per_occurrence[np.searchsorted(bags.rows, rows[known])]
        # At each place, the n-gram's term is divided equally among its characters.
        per_character = added / (last - first + 1)
        np.add.at(steps, first, per_character)
        np.subtract.at(steps, last + 1, per_character)
    bias = (weights.bias[index] - weights.bias.mean()).item() / temperature
    return np.cumsum(steps)[:-1], bias
