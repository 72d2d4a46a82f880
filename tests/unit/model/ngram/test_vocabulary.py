"""The vocabulary: each known n-gram has a row of its own, and unknown n-grams are told apart."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from model.ngram import vocabulary
from model.ngram.vocabulary import MAX_KNOWN, ROWS


def drawn(number: int, seed: int = 0) -> NDArray[np.uint32]:
    """Returns different random hashes, in random order."""
    generator = np.random.default_rng(seed)
    found = np.unique(generator.integers(1, 2**32, number + number // 1000, np.uint32))
    return generator.permutation(found)[:number]


@pytest.mark.parametrize("number", [0, 1, 2, 5_000, MAX_KNOWN])
def test_each_known_n_gram_has_a_row_of_its_own(number: int) -> None:
    hashes = drawn(number)
    assert len(hashes) == number
    built = vocabulary.build(hashes)
    rows, known = built.find(hashes)
    assert known.all()
    assert len(np.unique(rows)) == number
    assert not number or (rows.min() >= 0 and rows.max() < ROWS)
    assert np.count_nonzero(built.hashes) == number


def test_other_n_grams_are_unknown() -> None:
    hashes = drawn(20_000)
    built = vocabulary.build(hashes[:10_000])
    assert built.find(hashes)[1].tolist() == [True] * 10_000 + [False] * 10_000


def test_the_first_n_grams_are_known_if_there_are_too_many() -> None:
    hashes = drawn(MAX_KNOWN + 1_000)
    _, known = vocabulary.build(hashes).find(hashes)
    assert known.nonzero()[0].tolist() == list(range(MAX_KNOWN))


def test_a_vocabulary_that_was_read_from_its_tables_is_the_same() -> None:
    hashes = drawn(1_000)
    built = vocabulary.build(hashes)
    read = vocabulary.Vocabulary(built.displacements.copy(), built.hashes.copy())
    for found, expected in zip(read.find(hashes), built.find(hashes), strict=True):
        np.testing.assert_array_equal(found, expected)
