"""The share of a text's runs of characters that the n-gram model does not know."""

from __future__ import annotations

import pytest

from model.ngram import counting, novelty
from model.ngram.counting import known_ngrams
from model.ngram.novelty import unseen_shares
from model.ngram.vocabulary import Vocabulary

TEXTS = ["the cat sat", "the cat ran", "a dog barked"]


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    """Returns the n-grams that two of the texts have."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counting, "MANY_TEXTS", len(TEXTS))
        return known_ngrams(TEXTS).vocabulary


def test_a_text_of_known_runs_has_no_share(vocabulary: Vocabulary) -> None:
    assert list(unseen_shares(["the cat", "cat"], vocabulary)) == [0, 0]


def test_runs_of_a_single_training_message_are_unknown(vocabulary: Vocabulary) -> None:
    assert list(unseen_shares(["a dog barked"], vocabulary)) == [1]


def test_share_counts_each_occurrence_of_a_run(vocabulary: Vocabulary) -> None:
    # Runs of three: "the", "he ", "e x", " xx", "xx ", "x t", " th", "the"; of four: "the ",
    # "he x", "e xx", " xx ", "xx t", "x th", " the". Known: "the" twice, "he " and "the ".
    assert list(unseen_shares(["the xx the"], vocabulary)) == pytest.approx([1 - 4 / 15])


def test_texts_without_runs_of_characters_have_no_share(vocabulary: Vocabulary) -> None:
    assert list(unseen_shares(["ab", "x", ""], vocabulary)) == [0, 0, 0]


def test_reference_is_the_mean_and_the_deviation(vocabulary: Vocabulary) -> None:
    found = novelty.reference(["the cat", "a dog barked"], vocabulary)
    assert found == {"mean": 0.5, "deviation": 0.5}
