"""Tests of the mix of messages: new messages differ from all others, and repeats do not change."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path

import pytest

from bench.load import messages
from bench.load.messages import Passage
from bench.load.scenario import Mix

PASSAGES = [
    Passage(" ".join(f"w{n}.{word}" for word in range(30)), f"author {n % 3}") for n in range(50)
]
PLAIN = {passage.text for passage in PASSAGES}


def take(mix: Mix, count: int = 10_000) -> list[messages.Message]:
    return list(itertools.islice(messages.stream(PASSAGES, mix, 5), count))


def test_without_repeats_no_message_comes_twice() -> None:
    sent = take(Mix())
    assert len({message.text for message in sent}) == len(sent)


def test_all_passages_are_sent_equally_often() -> None:
    turns = Counter(message.passage for message in take(Mix()))
    assert set(turns.values()) == {10_000 // 50}


def test_a_new_message_is_its_passage_without_two_words() -> None:
    for message in take(Mix(), 500):
        words = PASSAGES[message.passage].text.split()
        kept = message.text.split()
        assert len(kept) == len(words) - 2
        assert [word for word in words if word in kept] == kept


@pytest.mark.parametrize("words", [3, 4, 5, 8, 9])
def test_every_pair_of_words_is_left_out_once(words: int) -> None:
    text = " ".join(map(str, range(words)))
    pairs = words * (words - 1) // 2
    assert len({messages.variant(text, number) for number in range(pairs)}) == pairs


def test_a_text_too_short_to_leave_words_out_gets_a_number() -> None:
    assert messages.variant("two words", 7) == "two words 7"


def test_repeats_have_the_requested_share_and_frequencies() -> None:
    sent = take(Mix(repeats=0.6, exponent=1.0, population=10))
    repeated = Counter(m.text for m in sent if m.text in PLAIN)
    assert sum(repeated.values()) == pytest.approx(6000, abs=200)
    most, second = (count for _, count in repeated.most_common(2))
    assert len(repeated) == 10
    assert most / second == pytest.approx(2, rel=0.15)


def test_one_seed_gives_one_run() -> None:
    assert take(Mix(repeats=0.3, seed=7), 100) == take(Mix(repeats=0.3, seed=7), 100)
    assert take(Mix(repeats=0.3, seed=7), 100) != take(Mix(repeats=0.3, seed=8), 100)


def test_a_file_is_read_and_a_bad_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    path.write_text('{"text": "a", "author": "b"}\n\n')
    assert messages.read(path) == [Passage("a", "b")]
    path.write_text('{"text": "a", "author": "b"}\n{"text": "a"}\n')
    with pytest.raises(ValueError, match=r"own.jsonl, line 2"):
        messages.read(path)
    path.write_text("\n")
    with pytest.raises(ValueError, match="no passage"):
        messages.read(path)
