"""Measures how new a text is to the n-gram model: the share of n-grams that the model doesn't know.

Texts of another subject, time or language have many such n-grams. The share shows a change of the
traffic long before the predicted authors' shares do.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from model.ngram.features import CHARACTERS, families
from model.ngram.vocabulary import Vocabulary


def unseen_shares(texts: Sequence[str], vocabulary: Vocabulary) -> NDArray[np.float64]:
    """Returns, for each text, the share of its runs of characters that are unknown, 0 to 1.

    A run that occurs twice counts twice. The share of a text without such runs is 0. Runs of tokens
    do not count: many of them are unknown in any text.
    """
    return np.array([_unseen_share(text, vocabulary) for text in texts])


def _unseen_share(text: str, vocabulary: Vocabulary) -> float:
    runs = [family.hashes for family in islice(families(text), len(CHARACTERS))]
    _, known = vocabulary.find(np.concatenate(runs))
    return float(1 - known.mean()) if len(known) else 0.0


def reference(texts: Sequence[str], vocabulary: Vocabulary) -> dict[str, float]:
    """Returns the mean and the standard deviation of the texts' shares of unknown n-grams.

    The texts are the held-out messages. The model card keeps both numbers.
    """
    shares = unseen_shares(texts, vocabulary)
    return {"mean": round(float(shares.mean()), 6), "deviation": round(float(shares.std()), 6)}
