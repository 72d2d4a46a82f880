"""Estimates the memory that a training needs, and refuses a training that needs too much."""

from __future__ import annotations

import resource
from typing import NamedTuple

import psutil

from model.linear.machine import BLOCK_BYTES, SOLVER_ARRAYS
from model.ngram.vocabulary import ROWS
from model.training.corpus import TRAINING_FOLDS, Corpus
from model.training.errors import DataError
from monitoring.instruments import processes

#: Bytes of the libraries, and of the smaller arrays.
BASE = 350 << 20
#: Number of copies of the table of 8-bit weights: one is trained, one serves held-out messages.
TABLES = 2
#: Number of arrays of the shape (texts, authors) that hold dual coefficients at once.
DUALS = 7
#: Number of arrays of the shape (texts, authors) that hold float64 scores at once.
SCORES = 4
#: Usual number of distinct known n-grams for each character of a text.
NGRAMS = 2.0
#: The training refuses this many n-grams or more, because it numbers n-grams with 31 bits.
MAX_NGRAMS = 2**31
#: Bytes for each distinct known n-gram of a text: row, count and value, and its entries in the
#: matrices.
NGRAM_BYTES = 56


class Needed(NamedTuple):
    """The memory that a training takes, in bytes."""

    tables: int
    coefficients: int
    ngrams: int
    solver: int

    @property
    def total(self) -> int:
        """The sum of the fields and of ``BASE``, in bytes."""
        return BASE + sum(self)


def needed(texts: int, authors: int, characters: int) -> Needed:
    """Returns the memory that a training needs.

    ``texts`` is the number of training messages, ``authors`` is the number of authors, and
    ``characters`` is the number of characters in all training messages together.
    """
    return Needed(
        TABLES * ROWS * authors,
        texts * authors * (4 * DUALS + 8 * SCORES),
        int(characters * NGRAMS * NGRAM_BYTES),
        min(BLOCK_BYTES, 4 * authors * (SOLVER_ARRAYS * texts + 2 * ROWS)),
    )


def available() -> int:
    """Returns the memory that this process can still get, in bytes."""
    limits = (resource.getrlimit(kind)[0] for kind in (resource.RLIMIT_AS, resource.RLIMIT_DATA))
    set_limits = [limit for limit in limits if limit != resource.RLIM_INFINITY]
    # The memory that this process has already is part of the memory that the training needs.
    free = psutil.virtual_memory().available + psutil.Process().memory_info().rss
    return min(processes.total(), free, *set_limits)


def check(corpus: Corpus) -> None:
    """Checks that the training fits into the memory.

    Raises:
        DataError: the training has too many n-grams, or needs more memory than is available. The
            error's text compares the need with the limit.
    """
    messages = corpus.part(*TRAINING_FOLDS)
    texts, authors = len(messages), len(corpus.authors)
    characters = sum(len(message.text) for message in messages)
    if characters * NGRAMS >= MAX_NGRAMS:
        most = int(MAX_NGRAMS / NGRAMS)
        raise DataError(f"{characters:,} characters, {most:,} at most: train on fewer messages")
    need, there = needed(texts, authors, characters), available()
    if need.total > there:
        raise DataError(
            f"the training needs about {_gb(need.total)} and {_gb(there)} are available: "
            f"{authors:,} authors x {ROWS:,} rows x {TABLES} bytes = {_gb(need.tables)}, "
            f"{texts:,} messages x {authors:,} authors x {need.coefficients // (texts * authors)} "
            f"bytes = {_gb(need.coefficients)}, {characters:,} characters x "
            f"{NGRAMS * NGRAM_BYTES:g} bytes = {_gb(need.ngrams)}, and "
            f"{_gb(BASE + need.solver)} for the libraries and the solver: "
            "train on fewer messages or authors"
        )


def _gb(size: int) -> str:
    return f"{size / 1e9:.1f} GB"
