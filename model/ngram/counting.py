"""Counts the n-grams of any number of texts, and computes how rare each n-gram is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from model.ngram.features import ROWS, Bags, count

#: Number of texts whose features are computed at once.
CHUNK = 256


def count_all(texts: Sequence[str], runs_of_tokens_only: bool = False) -> Bags:
    """Returns the distinct n-grams of each text and their counts, for any number of texts.

    If ``runs_of_tokens_only`` is true, the runs of characters are left out.
    """
    starts = range(0, len(texts), CHUNK)
    chunks = [count(texts[start : start + CHUNK], runs_of_tokens_only) for start in starts]
    sizes = np.concatenate([np.diff(chunk.offsets) for chunk in chunks])
    return Bags(
        np.concatenate([chunk.rows for chunk in chunks]),
        np.concatenate([chunk.counts for chunk in chunks]),
        np.r_[0, np.cumsum(sizes)].astype(np.int32),
    )


def select(bags: Bags, chosen: NDArray[np.bool_]) -> Bags:
    """Returns the n-grams of every text i for which ``chosen[i]`` is true."""
    sizes = np.diff(bags.offsets)
    kept = chosen.repeat(sizes)
    offsets = np.r_[0, np.cumsum(sizes[chosen])].astype(np.int32)
    return Bags(bags.rows[kept], bags.counts[kept], offsets)


def rows_of_tokens(texts: Sequence[str], bags: Bags) -> NDArray[np.bool_]:
    """Returns, for each row of the weight table, whether it stands mainly for runs of tokens.

    ``bags`` are all n-grams of ``texts``. A row stands mainly for runs of tokens if more than half
    of the texts that have the row have such a run in it. The result has the shape (ROWS,).
    """
    tokens = count_all(texts, runs_of_tokens_only=True)
    return 2 * _texts_with(tokens) > _texts_with(bags)


def _texts_with(bags: Bags) -> NDArray[np.intp]:
    return np.bincount(bags.rows, minlength=ROWS)


def inverse_document_frequency(bags: Bags) -> NDArray[np.float32]:
    """Returns the inverse document frequency of each row of the weight table, shape (ROWS,).

    If m of n texts have an n-gram of a row, the row's value is log((1 + n) / (1 + m)) + 1, as in
    scikit-learn.
    """
    texts = len(bags.offsets) - 1
    return (np.log((1 + texts) / (1 + _texts_with(bags))) + 1).astype(np.float32)
