"""The n-gram features: batches, offsets, hashes and values."""

from __future__ import annotations

import zlib
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.ngram import features, hash_functions, vocabulary
from model.ngram.vocabulary import Vocabulary
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


def vocabulary_of(texts: list[str], every: int = 1) -> Vocabulary:
    """Returns a vocabulary of the texts' n-grams, or of one in ``every`` of them."""
    found = sorted(set().union(*map(plain_features.hashes, texts)))
    return vocabulary.build(np.array(found[::every], np.uint32))


def expected(text: str, known: Vocabulary) -> dict[int, int]:
    """Returns the counts of the rows that the simple implementation finds in ``text``."""
    used = known.hashes.nonzero()[0].tolist()
    row_of = dict(zip(known.hashes[used].tolist(), used, strict=True))
    found = plain_features.hashes(text).items()
    return {row_of[each]: number for each, number in found if each in row_of}


ALL = vocabulary_of([*TEXTS, LONG])


def bag(text: str, known: Vocabulary = ALL) -> dict[int, int]:
    bags = features.count([text], known)
    return dict(zip(bags.rows.tolist(), bags.counts.tolist(), strict=True))


def spans(text: str) -> list[list[tuple[int, int]]]:
    found = features.families(text)
    return [list(zip(f.first.tolist(), f.last.tolist(), strict=True)) for f in found]


def test_bag_of_a_text_is_the_same_in_a_batch_and_alone() -> None:
    bags = features.count(TEXTS, ALL)
    for number, text in enumerate(TEXTS):
        inside = slice(*bags.offsets[number : number + 2])
        together = zip(bags.rows[inside].tolist(), bags.counts[inside].tolist(), strict=True)
        assert dict(together) == bag(text)


def together(texts: list[str], known: Vocabulary) -> list[dict[int, int]]:
    rows, counts, offsets = (array.tolist() for array in features.count(texts, known))
    assert len(offsets) == len(texts) + 1
    bags = [slice(*ends) for ends in pairwise(offsets)]
    assert all(rows[inside] == sorted(set(rows[inside])) for inside in bags)
    return [dict(zip(rows[inside], counts[inside], strict=True)) for inside in bags]


@pytest.mark.parametrize("every", [1, 3])
@given(st.lists(SOME_TEXT, min_size=1, max_size=8))
@settings(deadline=None, derandomize=True, max_examples=100)
def test_bags_equal_those_of_the_simple_implementation(every: int, texts: list[str]) -> None:
    known = vocabulary_of(texts, every)
    assert together(texts, known) == [expected(text, known) for text in texts]


def test_bags_of_a_large_batch_equal_those_of_the_simple_implementation() -> None:
    texts = ["", "a", " ", "🎉", LONG, "ab", "It was 1861, and raining. "] * 36
    texts += ["", "end", "", ""]
    assert len(texts) == 256
    known = vocabulary_of(texts)
    assert together(texts, known) == [expected(text, known) for text in texts]


def test_bags_are_right_beyond_the_powers_in_memory() -> None:
    texts = ["Rain fell, all night. " * (hash_functions.KEPT_POWERS // 20), LONG, "It's over"]
    known = vocabulary_of(texts)
    assert together(texts, known) == [expected(text, known) for text in texts]


@given(SOME_TEXT)
@settings(deadline=None, derandomize=True)
def test_families_hold_the_n_grams_with_their_offsets(text: str) -> None:
    found = list(features.families(text))
    hashes = Counter(each for family in found for each in family.hashes.tolist())
    assert hashes == plain_features.hashes(text)
    for family, length in zip(found, features.CHARACTERS, strict=False):
        assert family.first.tolist() == list(range(len(text) - length + 1))
        assert (family.last - family.first == length - 1).all()
    for family, length in zip(found[len(features.CHARACTERS) :], features.TOKENS, strict=True):
        parts = plain_features.tokens(text)
        spanned = [text[a : b + 1] for a, b in zip(family.first, family.last, strict=True)]
        runs = [parts[start : start + length] for start in range(len(parts) - length + 1)]
        assert ["".join(span.split()) for span in spanned] == ["".join(run) for run in runs]


def test_an_unknown_n_gram_is_not_counted() -> None:
    known = vocabulary_of(["the cat"])
    assert bag("the cat", known) == bag("the cat")
    assert bag("xyz ???", known) == {}
    assert sum(bag("the dog", known).values()) == len(["the", "he ", "the ", "THE"])


def test_every_occurrence_of_an_n_gram_is_counted_once() -> None:
    text = "Ab, ab"
    # Runs of three characters: 4; of four: 3. Tokens: "Ab", "," and "ab". Pairs of tokens: 2.
    # Triples: 1.
    assert sum(bag(text, vocabulary_of([text])).values()) == 4 + 3 + 3 + 2 + 1


def test_families_span_runs_of_characters_and_of_tokens() -> None:
    threes, fours, tokens, pairs, triples = spans("Hi, you")
    assert threes[-1] == (4, 6)
    assert fours[-1] == (3, 6)
    assert tokens == [(0, 1), (2, 2), (4, 6)]
    assert pairs == [(0, 2), (2, 6)]
    assert triples == [(0, 6)]


def test_case_matters_for_characters_but_not_for_tokens() -> None:
    def hashes(text: str) -> tuple[list[int], list[int]]:
        found = list(features.families(text))
        return found[0].hashes.tolist(), found[len(features.CHARACTERS)].hashes.tolist()

    assert hashes("ÉTÉ")[0] != hashes("été")[0]
    assert hashes("ÉTÉ")[1] == hashes("été")[1]


def test_values_have_length_one_or_none_for_an_empty_text() -> None:
    row_weights = np.linspace(1, 9, vocabulary.ROWS, dtype=np.float32)
    bags = features.count(TEXTS, ALL)
    squares = bags.values(row_weights) ** 2
    sums = [squares[a:b].sum() for a, b in zip(bags.offsets, bags.offsets[1:], strict=False)]
    lengths = [0 if text.strip() == "" else 1 for text in TEXTS]
    assert sums == pytest.approx(lengths, abs=1e-5)


def test_values_of_a_text_with_n_grams_of_no_weight_are_0() -> None:
    bags = features.count(["the cat"], ALL)
    assert len(bags.rows) > 0
    assert not bags.values(np.zeros(vocabulary.ROWS, np.float32)).any()


def test_hash_is_the_same_on_every_machine() -> None:
    """The committed weights depend on the hash. A changed hash needs a new PREPROCESSING."""
    first, *_ = features.families("Hello, you")
    assert first.hashes.tolist()[:3] == [1901870522, 184978258, 3629733484]
    bags = features.count([*TEXTS, LONG], ALL)
    assert zlib.crc32(b"".join(array.astype("<i4").tobytes() for array in bags)) == 4049975079


def test_too_many_texts_are_refused() -> None:
    with pytest.raises(ValueError, match="at most"):
        features.count(["a"] * (features.MAX_TEXTS + 1), ALL)
