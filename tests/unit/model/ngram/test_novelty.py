"""The share of a text's runs of characters that the n-gram model does not know."""

from __future__ import annotations

import pytest

from model.ngram import novelty
from model.ngram.counting import known_ngrams

VOCABULARY = known_ngrams(["the cat sat", "the cat ran", "a dog barked"]).vocabulary


def shares(*texts: str) -> list[float]:
    return list(novelty.unseen_shares(texts, VOCABULARY))


def test_a_text_of_known_runs_has_no_share() -> None:
    assert shares("the cat", "cat") == [0, 0]


def test_runs_of_a_single_training_message_are_unknown() -> None:
    assert shares("a dog barked") == [1]


def test_share_counts_each_occurrence_of_a_run() -> None:
    # Of "the" and "the " 2 runs are known; of the runs that follow in "the xx the", some are not.
    # Runs of three: "the", "he ", "e x", " xx", "xx ", "x t", " th", "the"; of four: "the ",
    # "he x", "e xx", " xx ", "xx t", "x th", " the". Known: "the" twice, "he " and "the ".
    assert shares("the xx the") == pytest.approx([1 - 4 / 15])


def test_texts_without_runs_of_characters_have_no_share() -> None:
    assert shares("ab", "x", "") == [0, 0, 0]


def test_reference_is_the_mean_and_the_deviation() -> None:
    found = novelty.reference(["the cat", "a dog barked"], VOCABULARY)
    assert found == {"mean": 0.5, "deviation": 0.5}
