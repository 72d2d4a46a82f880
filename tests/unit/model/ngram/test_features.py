"""The n-gram features: batches, offsets, hashes and values."""

from __future__ import annotations

import zlib
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.ngram import features, hash_functions
from tests.unit.model.ngram import plain_features

TEXTS = ["The cat sat. The Cat!", "", "x", "ÄRGER im Büro 🎉🎉", "a\0b", " ", "the cat"]
LONG = "b" * 70 + "🎉🎉 " + "z" * 200
#: Any text.
ANY = st.text(st.characters(exclude_categories=()), max_size=80)
#: Texts of corner cases: marks, white space, letters with an odd lower case, and surrogates.
ODD = st.text("  ..aZ9\u2003ÉİßΣ\uffff\ud800🎉𝐀\0", max_size=12)
#: Texts with long tokens.
REPEATED = st.builds(str.__mul__, st.text("aB1. 🎉", max_size=5), st.integers(0, 90))
SOME_TEXT = ANY | ODD | REPEATED


def bag(text: str) -> dict[int, int]:
    bags = features.count([text])
    return dict(zip(bags.rows.tolist(), bags.counts.tolist(), strict=True))


def spans(text: str) -> list[list[tuple[int, int]]]:
    found = features.families(text)
    return [list(zip(f.first.tolist(), f.last.tolist(), strict=True)) for f in found]


def test_bag_of_a_text_is_the_same_in_a_batch_and_alone() -> None:
    bags = features.count(TEXTS)
    for number, text in enumerate(TEXTS):
        inside = slice(*bags.offsets[number : number + 2])
        together = zip(bags.rows[inside].tolist(), bags.counts[inside].tolist(), strict=True)
        assert dict(together) == bag(text)


def together(texts: list[str]) -> list[dict[int, int]]:
    rows, counts, offsets = (array.tolist() for array in features.count(texts))
    assert len(offsets) == len(texts) + 1
    bags = [slice(*ends) for ends in pairwise(offsets)]
    assert all(rows[inside] == sorted(set(rows[inside])) for inside in bags)
    return [dict(zip(rows[inside], counts[inside], strict=True)) for inside in bags]


@given(st.lists(SOME_TEXT, min_size=1, max_size=8))
@settings(deadline=None, derandomize=True, max_examples=300)
def test_bags_equal_those_of_the_simple_implementation(texts: list[str]) -> None:
    assert together(texts) == [plain_features.bag(text) for text in texts]


def test_bags_of_a_large_batch_equal_those_of_the_simple_implementation() -> None:
    texts = ["", "a", " ", "🎉", LONG, "ab", "It was 1861, and raining. "] * 36
    texts += ["", "end", "", ""]
    assert len(texts) == 256
    assert together(texts) == [plain_features.bag(text) for text in texts]


def test_bags_are_right_beyond_the_powers_in_memory() -> None:
    texts = ["Rain fell, all night. " * (hash_functions.KEPT_POWERS // 20), LONG, "It's over"]
    assert together(texts) == [plain_features.bag(text) for text in texts]


@given(SOME_TEXT)
@settings(deadline=None, derandomize=True)
def test_families_hold_the_counted_n_grams_with_their_offsets(text: str) -> None:
    found = list(features.families(text))
    assert Counter(row for family in found for row in family.rows.tolist()) == bag(text)
    for family, length in zip(found, features.CHARACTERS, strict=False):
        assert family.first.tolist() == list(range(len(text) - length + 1))
        assert (family.last - family.first == length - 1).all()
    for family, length in zip(found[3:], features.TOKENS, strict=True):
        parts = plain_features.tokens(text)
        spanned = [text[a : b + 1] for a, b in zip(family.first, family.last, strict=True)]
        runs = [parts[start : start + length] for start in range(len(parts) - length + 1)]
        assert ["".join(span.split()) for span in spanned] == ["".join(run) for run in runs]


def test_every_occurrence_of_an_n_gram_is_counted_once() -> None:
    text = "Ab, ab"
    # Runs of two characters: 5; of three: 4; of four: 3. Tokens: "Ab", "," and "ab". Pairs of
    # tokens: 2.
    assert sum(bag(text).values()) == 5 + 4 + 3 + 3 + 2


def test_families_span_runs_of_characters_and_of_tokens() -> None:
    twos, threes, fours, tokens, pairs = spans("Hi, you")
    assert twos[0] == (0, 1)
    assert threes[-1] == (4, 6)
    assert fours[-1] == (3, 6)
    assert tokens == [(0, 1), (2, 2), (4, 6)]
    assert pairs == [(0, 2), (2, 6)]


def test_case_matters_for_characters_but_not_for_tokens() -> None:
    def rows(text: str) -> tuple[list[int], list[int]]:
        found = list(features.families(text))
        return found[0].rows.tolist(), found[3].rows.tolist()

    assert rows("ÉTÉ")[0] != rows("été")[0]
    assert rows("ÉTÉ")[1] == rows("été")[1]


def test_rows_spread_evenly_over_the_table() -> None:
    bags = features.count([f"number {n} of many, {n * 7919}" for n in range(1000)])
    assert bags.rows.min() >= 0
    assert bags.rows.max() < features.ROWS
    halves = np.bincount(np.unique(bags.rows) // (features.ROWS // 2 + 1))
    assert abs(halves[0] - halves[1]) < 0.1 * halves.sum()


def test_values_have_length_one_or_none_for_an_empty_text() -> None:
    idf = np.linspace(1, 9, features.ROWS, dtype=np.float32)
    bags = features.count(TEXTS)
    squares = bags.values(idf) ** 2
    sums = [squares[a:b].sum() for a, b in zip(bags.offsets, bags.offsets[1:], strict=False)]
    expected = [0 if text.strip() == "" else 1 for text in TEXTS]
    assert sums == pytest.approx(expected, abs=1e-5)


def test_hash_is_the_same_on_every_machine() -> None:
    """The committed weights depend on the hash. A changed hash needs a new PREPROCESSING."""
    assert features.count(["Hello, you"]).rows.tolist()[:4] == [15523, 31389, 32525, 33163]
    bags = features.count([*TEXTS, LONG])
    assert zlib.crc32(b"".join(array.astype("<i4").tobytes() for array in bags)) == 1483632419


def test_too_many_texts_are_refused() -> None:
    with pytest.raises(ValueError, match="at most"):
        features.count(["a"] * (features.MAX_TEXTS + 1))
