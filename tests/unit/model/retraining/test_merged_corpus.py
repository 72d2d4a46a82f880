"""Feedback joins the old data, and what is held out stays held out."""

from __future__ import annotations

from pathlib import Path

import pytest

from model.retraining.merged_corpus import Merged, fold_of, with_feedback
from model.training.corpus import (
    FOLDS,
    HELD_OUT_FOLD,
    TRAINING_FOLDS,
    TUNING_FOLD,
    Corpus,
    load_file,
)
from model.training.near_duplicates import without_near_duplicates
from tests.unit.model.test_train import corpus as write_corpus


@pytest.fixture
def old(tmp_path: Path) -> Corpus:
    return load_file(write_corpus(tmp_path / "mine.jsonl"))


def texts(fold: int, number: int = 1, word: str = "word") -> list[str]:
    """Returns texts that a hash puts into ``fold``."""
    found = (text for n in range(10_000) if fold_of(text := f"{word} {n}") == fold)
    return [next(found) for _ in range(number)]


def messages(merged: Merged) -> set[tuple[str, str]]:
    return {(message.text, message.author) for message in merged.corpus.messages}


def test_folds_get_equal_shares_of_the_texts() -> None:
    folds = [fold_of(f"text {number}") for number in range(5000)]
    assert all(900 < folds.count(fold) < 1100 for fold in range(FOLDS))


def test_old_messages_keep_their_folds_and_new_ones_get_theirs_from_their_texts(
    old: Corpus,
) -> None:
    [held_out], [trained] = texts(HELD_OUT_FOLD), texts(0)
    merged = with_feedback(old, [(held_out, "Ann"), (trained, "Bob")])
    assert merged.corpus.messages[: len(old.messages)] == old.messages
    new = merged.corpus.messages[len(old.messages) :]
    assert [(m.author, m.fold) for m in new] == [("Ann", HELD_OUT_FOLD), ("Bob", 0)]
    old_held_out, with_label = merged.held_out()
    assert old_held_out == old.part(HELD_OUT_FOLD)
    assert [message.text for message in with_label] == [held_out]


def test_a_text_stays_held_out_whatever_else_is_kept(old: Corpus) -> None:
    wanted = texts(HELD_OUT_FOLD, 3)
    labelled = [(text, "Ann") for text in (*texts(0, 5), *wanted, *texts(3, 5))]
    for kept in (labelled, labelled[4:], labelled[::-1]):
        _, held_out = with_feedback(old, kept).held_out()
        assert {message.text for message in held_out} == set(wanted)


def test_last_author_of_a_text_counts(old: Corpus) -> None:
    merged = with_feedback(old, [("corrected", "Ann"), ("other", "Ann"), ("corrected", "Bob")])
    assert merged.feedback == {("corrected", "Bob"), ("other", "Ann")}


def test_message_that_the_data_has_already_is_not_added_again(old: Corpus) -> None:
    known = old.messages[0]
    merged = with_feedback(old, [(known.text, known.author), ("new", "Ann")])
    assert len(merged.corpus.messages) == len(old.messages) + 1
    assert merged.feedback == {("new", "Ann")}


def test_known_text_with_another_author_is_added(old: Corpus) -> None:
    known = old.messages[0]
    merged = with_feedback(old, [(known.text, "Bob")])
    assert merged.feedback == {(known.text, "Bob")} != {(known.text, known.author)}


def test_new_author_with_enough_feedback_is_learned_and_others_are_named(old: Corpus) -> None:
    dee = [(text, "Dee") for fold in range(FOLDS) for text in texts(fold)]
    few = [(text, "Eve") for text in texts(TUNING_FOLD, 5, "eve")]
    merged = with_feedback(old, [*dee, *few])
    assert merged.corpus.authors == ("Ann", "Bob", "Cy", "Dee")
    assert merged.feedback == set(dee)
    assert any("left out" in note and "'Eve'" in note for note in merged.corpus.notes)
    assert any("does not know: 'Dee'" in note for note in merged.corpus.notes)
    for author in merged.corpus.authors:
        folds = {m.fold for m in merged.corpus.messages if m.author == author}
        assert TUNING_FOLD in folds
        assert len(folds & set(TRAINING_FOLDS)) > 1


def test_counts_of_the_card_are_those_of_the_messages(old: Corpus) -> None:
    labelled = [(text, "Ann") for fold in range(FOLDS) for text in texts(fold, fold + 1)]
    data = with_feedback(old, labelled).corpus
    counted = data.description
    assert counted["messages"] == len(data.messages) == len(old.messages) + 15
    assert counted["held_out_messages"] == len(data.part(HELD_OUT_FOLD))
    assert counted["training_messages"] == len(data.part(*TRAINING_FOLDS))
    assert counted["of_which_tuning_messages"] == len(data.part(TUNING_FOLD))
    assert (counted["authors"], counted["feedback_messages"]) == (len(data.authors), 15)
    assert counted["feedback_training_messages"] == 15 - (HELD_OUT_FOLD + 1)


def test_held_out_message_that_nearly_equals_feedback_is_left_out(old: Corpus) -> None:
    copied = old.part(HELD_OUT_FOLD)[0]
    others = (f"{copied.text} {number}" for number in range(100))
    near = next(text for text in others if fold_of(text) != HELD_OUT_FOLD)
    merged = with_feedback(old, [(near, "Cy")])
    held_out, _ = merged._replace(corpus=without_near_duplicates(merged.corpus)).held_out()
    assert copied not in held_out
    assert (near, "Cy") in messages(merged)
