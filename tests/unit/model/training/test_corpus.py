"""The corpus: how documents are cut into messages, and how messages are split into folds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from model.training.corpus import load_file, load_sotu
from model.training.errors import DataError
from model.training.passages import passages

SENTENCE = "This sentence has exactly fifty characters in all."


def test_passages_join_sentences_up_to_600_characters() -> None:
    found = list(passages(" ".join([SENTENCE] * 17)))
    # 11 sentences and 10 spaces are 560 characters. A twelfth would exceed 600.
    assert [len(message) for message in found] == [11 * 50 + 10, 6 * 50 + 5]


def test_short_rests_and_long_sentences_are_left_out() -> None:
    long = "Word " * 150 + "end."
    assert list(passages(f"{SENTENCE} {long} {SENTENCE}")) == []
    assert list(passages(f"{' '.join([SENTENCE] * 5)} {long} {SENTENCE}")) == [
        " ".join([SENTENCE] * 5)
    ]


def test_blank_line_ends_a_sentence_and_white_space_is_reduced() -> None:
    heading = "a heading without a mark"
    [message] = passages(heading + "\n\n" + "\n".join([SENTENCE] * 4))
    assert message == " ".join([heading] + [SENTENCE] * 4)


def test_presidents_messages_have_all_authors_in_the_tuning_and_held_out_folds() -> None:
    corpus = load_sotu()
    assert len(corpus.authors) == 41
    assert corpus.description["documents"] == 234
    assert all(200 <= len(message.text) <= 600 for message in corpus.messages)
    for fold in (1, 2):  # The tuning fold and the held-out fold.
        assert {message.author for message in corpus.part(fold)} == set(corpus.authors)


def jsonl(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_folds_follow_the_order_of_documents_in_the_file(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"text": f"{a} {d}", "author": a, "document": d} for d in (9, 5, 7, 5) for a in "xy"
    ]
    corpus = load_file(jsonl(tmp_path / "a.jsonl", rows))
    assert [(m.text, m.fold) for m in corpus.messages if m.author == "x"] == [
        ("x 9", 0), ("x 5", 1), ("x 7", 2), ("x 5", 1)
    ]  # fmt: skip


def test_record_without_a_document_is_a_document_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('text,author\n"one,\nstill one",x\ntwo,x\nthree,x\na,y\nb,y\nc,y\nd,z\n')
    corpus = load_file(path)
    assert [message.fold for message in corpus.messages] == [0, 1, 2, 0, 1, 2]
    assert corpus.messages[0].text == "one,\nstill one"
    assert corpus.authors == ("x", "y")
    assert corpus.description["authors_left_out"] == 1


def test_single_author_or_too_few_messages_are_refused(tmp_path: Path) -> None:
    alone = jsonl(tmp_path / "a.jsonl", [{"text": "a", "author": "x"}] * 5)
    with pytest.raises(DataError, match=r"a\.jsonl: one author only: .*: add"):
        load_file(alone)
    few = jsonl(tmp_path / "b.jsonl", [{"text": "a", "author": a} for a in "xxxxyy"])
    with pytest.raises(DataError, match=r"b\.jsonl: too few messages per author: .*: add"):
        load_file(few)
