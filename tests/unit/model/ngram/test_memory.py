"""Training is refused if the memory does not suffice. The error shows the computation."""

from __future__ import annotations

import resource

import pytest

from model.ngram import memory, training
from model.training.corpus import Corpus, Message
from model.training.errors import DataError


def corpus(authors: int) -> Corpus:
    messages = [
        Message(f"message {fold} of {author}", f"author {author}", fold)
        for author in range(authors)
        for fold in range(5)
    ]
    names = tuple(sorted({message.author for message in messages}))
    return Corpus(messages, names, {})


def test_training_with_enough_memory_is_let_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available", lambda: 2 << 30)
    training.check(corpus(40))


def test_refusal_has_the_arithmetic(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available", lambda: 2 << 30)
    with pytest.raises(DataError) as refused:
        training.check(corpus(2000))
    words = str(refused.value)
    assert "2.1 GB are available" in words
    assert "2,000 authors x 524,288 rows x 2 bytes = 2.1 GB" in words
    assert "8,000 messages x 2,000 authors x" in words
    assert "train on fewer messages or authors" in words


def test_too_many_ngrams_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available", lambda: 1 << 50)
    monkeypatch.setattr(memory, "MAX_NGRAMS", 1000)
    with pytest.raises(DataError, match="characters, 500 at most: train on fewer messages"):
        training.check(corpus(40))


def test_two_thousand_authors_fit_into_six_gigabytes() -> None:
    # 10 messages of 500 characters for each author.
    assert memory.needed(16_000, 2_000, 16_000 * 500).total < 6e9


def test_small_corpora_need_little() -> None:
    assert memory.needed(150, 12, 50_000).total < 5e8


def test_need_grows_with_authors_messages_and_characters() -> None:
    least = memory.needed(1_000, 10, 100_000).total
    for more in ((2_000, 10, 100_000), (1_000, 20, 100_000), (1_000, 10, 200_000)):
        assert memory.needed(*more).total > least


def test_limit_of_the_process_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    def limit(kind: int) -> tuple[int, int]:
        return (1 << 20 if kind == resource.RLIMIT_AS else resource.RLIM_INFINITY, -1)

    monkeypatch.setattr(resource, "getrlimit", limit)
    assert memory.available() == 1 << 20
