"""Counts the n-grams of any number of texts, and finds out which n-grams are common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.ngram import vocabulary
from model.ngram.features import CHARACTERS, TOKENS, Bags, count, families
from model.ngram.vocabulary import ROWS, Vocabulary

#: Number of texts whose features are computed at once.
CHUNK = 256
#: With at least this many training messages, a model knows the n-grams that two of them have. An
#: n-gram of a single message says nothing about others, and a fit would learn the message by heart
#: from it. With fewer messages, a model knows all n-grams: there, knowing only those of two
#: messages had a cross-validated accuracy of 0.74 instead of 0.78.
MANY_TEXTS = 1_000
#: Number of kinds of n-grams: one for each kind and length.
KINDS = len(CHARACTERS) + len(TOKENS)


class Known(NamedTuple):
    """The n-grams that are common in some texts."""

    vocabulary: Vocabulary
    #: Kind of each row's n-gram, in the order of :func:`model.ngram.features.families`: int64,
    #: shape (ROWS,). A row without an n-gram has the kind 0.
    kinds: NDArray[np.int64]


def known_ngrams(texts: Sequence[str]) -> Known:
    """Returns the n-grams that at least ``least_texts(len(texts))`` of the texts have.

    If there are more than a table holds, the n-grams of the most texts are known.
    """
    least = least_texts(len(texts))
    found_in = [_common(hashes, least) for hashes in _distinct(texts)]
    common, texts_with = zip(*found_in, strict=True)
    order = np.argsort(-np.concatenate(texts_with), kind="stable")
    found = vocabulary.build(_without_repeats(np.concatenate(common)[order]))
    kinds = np.zeros(ROWS, np.int64)
    for kind, hashes in enumerate(common):
        rows, known = found.find(hashes)
        kinds[rows[known]] = kind
    return Known(found, kinds)


def _without_repeats(hashes: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Returns each hash once, at its first place: n-grams of two kinds may have the same hash."""
    _, first = np.unique(hashes, return_index=True)
    return hashes[np.sort(first)]


def _distinct(texts: Sequence[str]) -> list[NDArray[np.uint32]]:
    """Returns, for each kind, the hashes of all texts' n-grams, each once for each text."""
    found: list[list[NDArray[np.uint32]]] = [[] for _ in range(KINDS)]
    for text in texts:
        for kind, family in zip(found, families(text), strict=True):
            kind.append(np.unique(family.hashes))
    return [np.concatenate(kind) for kind in found]


def least_texts(training_texts: int) -> int:
    """Returns how many training messages must have an n-gram, so that the model knows it."""
    return 2 if training_texts >= MANY_TEXTS else 1


def _common(hashes: NDArray[np.uint32], least: int) -> tuple[NDArray[np.uint32], NDArray[np.intp]]:
    """Returns the hashes that occur ``least`` times or more, and how often they occur."""
    different, counts = np.unique(hashes, return_counts=True)
    enough = counts >= least
    return different[enough], counts[enough]


def count_all(texts: Sequence[str], known: Vocabulary) -> Bags:
    """Returns the distinct known n-grams of each text, and their counts.

    Unlike :func:`model.ngram.features.count`, it takes any number of texts.
    """
    chunks = [count(texts[start : start + CHUNK], known) for start in range(0, len(texts), CHUNK)]
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


def inverse_document_frequency(bags: Bags, least: int) -> NDArray[np.float32]:
    """Returns the inverse document frequency of each row of the weight table, shape (ROWS,).

    If m of n texts have an n-gram of a row, the row's value is log((1 + n) / (1 + m)) + 1, as in
    scikit-learn. If m is less than ``least``, the value is 0.
    """
    texts, texts_with = len(bags.offsets) - 1, np.bincount(bags.rows, minlength=ROWS)
    values = np.log((1 + texts) / (1 + texts_with)) + 1
    return np.where(texts_with < least, 0, values).astype(np.float32)
