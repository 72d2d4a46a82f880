"""Held-out messages that nearly equal a training message are left out of the measurements."""

from __future__ import annotations

import random
import time

import pytest

pytest.importorskip("datasketch", reason="the extra `train` is not installed")

from model.training.corpus import HELD_OUT_FOLD, Corpus, Message
from model.training.near_duplicates import near_duplicates, without_near_duplicates

WORDS = [f"word{n}" for n in range(500)]


def text(seed: int, words: int = 60) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=words))


def changed(original: str, *places: int) -> str:
    words = original.split()
    for at in places:
        words[at] = "other"
    return " ".join(words)


def test_one_word_changed_is_a_near_duplicate_and_many_are_not() -> None:
    texts = [text(n) for n in range(20)]
    others = [changed(texts[3], 30), changed(texts[5], 5, 20, 35, 50), text(99)]
    assert near_duplicates(texts, others) == {3}


def test_case_punctuation_and_white_space_do_not_matter() -> None:
    assert near_duplicates(["Thank you!", "?!"], ["thank  you", "!!"]) == {0}
    assert near_duplicates(["?!"], ["?!"]) == {0}


def test_near_duplicates_are_found_with_the_promised_probability() -> None:
    texts = [text(n, 100) for n in range(300)]
    assert len(near_duplicates(texts, [changed(t, 40, 70) for t in texts])) > 297


def test_one_message_finds_all_its_copies() -> None:
    assert len(near_duplicates([text(0)] * 500, [text(0)])) == 500


def test_many_alike_messages_take_little_time() -> None:
    texts = [
        f"Your order number {n} has left our house today and comes on Friday" for n in range(2000)
    ]
    begin = time.thread_time()
    near_duplicates(texts, texts[:500])
    assert time.thread_time() - begin < 10


def corpus(held_out: list[str], training: list[str]) -> Corpus:
    messages = [Message(t, "x", HELD_OUT_FOLD) for t in held_out]
    messages += [Message(t, "y", 0) for t in training]
    counts = {"messages": len(messages), "held_out_messages": len(held_out)}
    return Corpus(messages, ("x", "y"), counts)


def test_near_duplicates_are_left_out_counted_and_told() -> None:
    before = corpus([text(0), text(1), text(2)], [text(3), changed(text(1), 9)])
    after = without_near_duplicates(before)
    assert after.texts(HELD_OUT_FOLD) == [text(0), text(2)]
    assert after.texts(0) == before.texts(0)
    assert after.description == {
        "messages": 4,
        "held_out_messages": 2,
        "near_duplicates_left_out": 1,
        "near_duplicates_kept": 0,
    }
    [note] = after.notes
    assert note.startswith("near duplicates: 1 of 3 held-out messages")
    assert before.notes == []


def test_author_of_whom_nothing_else_was_held_out_is_told() -> None:
    before = corpus([text(0), text(1)], [text(0)])
    before.messages[0] = Message(text(0), "z", HELD_OUT_FOLD)
    assert "authors without another held-out message: 'z'" in without_near_duplicates(before).notes


def test_corpus_of_near_duplicates_alone_keeps_them_and_says_so() -> None:
    after = without_near_duplicates(corpus([text(0)], [text(0)]))
    assert after.texts(HELD_OUT_FOLD) == [text(0)]
    assert after.description["held_out_messages"] == 1
    assert after.description["near_duplicates_kept"] == 1
    assert "tell nothing" in after.notes[0]
