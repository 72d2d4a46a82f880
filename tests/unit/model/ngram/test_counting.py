"""The n-grams that a model knows, and how rare they are."""

from __future__ import annotations

import numpy as np
import pytest

from model.ngram import counting, vocabulary
from model.ngram.counting import count_all, inverse_document_frequency, known_ngrams
from model.ngram.features import families
from model.ngram.vocabulary import ROWS
from tests.unit.model.ngram import plain_features

TEXTS = ["the cat sat on it", "the cat sat", "THE dog", "the the the"]


@pytest.mark.parametrize(("many", "least"), [(4, 2), (5, 1)])
def test_n_grams_of_enough_texts_are_known(
    monkeypatch: pytest.MonkeyPatch, many: int, least: int
) -> None:
    monkeypatch.setattr(counting, "MANY_TEXTS", many)
    found = known_ngrams(TEXTS).vocabulary
    texts_with: dict[int, int] = {}
    for text in TEXTS:
        for each in plain_features.hashes(text):
            texts_with[each] = texts_with.get(each, 0) + 1
    hashes = np.array(sorted(texts_with), np.uint32)
    _, known = found.find(hashes)
    assert known.tolist() == [texts_with[each] >= least for each in sorted(texts_with)]


def test_each_row_has_the_kind_of_its_n_gram() -> None:
    found = known_ngrams(TEXTS)
    for kind, family in enumerate(families(TEXTS[0])):
        rows, known = found.vocabulary.find(family.hashes)
        assert known.any()
        assert (found.kinds[rows[known]] == kind).all()


def test_the_commonest_n_grams_are_known_if_there_are_too_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(vocabulary, "MAX_KNOWN", 1)
    kept = known_ngrams(TEXTS).vocabulary
    assert [kept.find(family.hashes)[1].sum() for family in families("the")] == [
        0,
        0,
        1,
        0,
        0,
    ]  # "the" as a token is in four texts, as characters only in three


def test_two_n_grams_with_the_same_hash_keep_no_other_from_being_known() -> None:
    texts = ["a pact", "to impress"]
    of_characters, of_tokens = ([family.hashes for family in families(text)] for text in texts)
    assert of_characters[1][1] == of_tokens[3][0]  # " pac", and the tokens "to" and "impress"
    found = known_ngrams(texts).vocabulary
    assert all(found.find(hashes)[1].all() for hashes in (*of_characters, *of_tokens))


def test_counts_of_many_texts_are_those_of_each_text(monkeypatch: pytest.MonkeyPatch) -> None:
    known = known_ngrams(TEXTS).vocabulary
    together = count_all(TEXTS, known)
    monkeypatch.setattr(counting, "CHUNK", 1)
    for found, expected in zip(count_all(TEXTS, known), together, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_rare_n_grams_have_a_higher_inverse_document_frequency() -> None:
    known = known_ngrams(TEXTS).vocabulary
    idf = inverse_document_frequency(count_all(TEXTS[:3], known), 2)
    assert idf.shape == (ROWS,)
    rows = [known.find(list(families(word))[2].hashes)[0][0] for word in ("the", "cat")]
    assert idf[rows].tolist() == [1, np.float32(np.log(4 / 3) + 1)]


def test_an_n_gram_of_too_few_texts_has_no_inverse_document_frequency() -> None:
    known = known_ngrams(TEXTS).vocabulary
    bags = count_all(TEXTS[:1], known)
    assert not inverse_document_frequency(bags, 2).any()
    assert inverse_document_frequency(bags, 1)[bags.rows].all()
