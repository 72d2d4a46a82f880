from __future__ import annotations

import json
from pathlib import Path

import pytest

from model.training.corpus import load_file, load_sotu, passages
from model.training.datafile import DataError, read_records

SENTENCE = "This sentence has exactly fifty characters in all."


def test_sentences_are_joined_while_they_fit() -> None:
    found = list(passages(" ".join([SENTENCE] * 17)))
    # 11 sentences and 10 spaces make 560; a twelfth would not fit 600.
    assert [len(message) for message in found] == [11 * 50 + 10, 6 * 50 + 5]


def test_leftovers_and_sentences_too_long_are_left_out() -> None:
    long = "Word " * 150 + "end."
    assert list(passages(f"{SENTENCE} {long} {SENTENCE}")) == []
    assert list(passages(f"{' '.join([SENTENCE] * 5)} {long} {SENTENCE}")) == [
        " ".join([SENTENCE] * 5)
    ]


def test_a_blank_line_ends_a_sentence_and_white_space_shrinks() -> None:
    heading = "a heading without a mark"
    [message] = passages(heading + "\n\n" + "\n".join([SENTENCE] * 4))
    assert message == " ".join([heading] + [SENTENCE] * 4)


def test_the_presidents() -> None:
    corpus = load_sotu()
    assert len(corpus.authors) == 41
    assert corpus.description["documents"] == 234
    assert all(200 <= len(message.text) <= 600 for message in corpus.messages)
    for fold in (1, 2):  # tuned on and held out: everyone is in both
        assert {message.author for message in corpus.part(fold)} == set(corpus.authors)


def jsonl(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_documents_keep_the_order_of_the_file(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"text": f"{a} {d}", "author": a, "document": d} for d in (9, 5, 7, 5) for a in "xy"
    ]
    corpus = load_file(jsonl(tmp_path / "a.jsonl", rows))
    assert [(m.text, m.fold) for m in corpus.messages if m.author == "x"] == [
        ("x 9", 0), ("x 5", 1), ("x 7", 2), ("x 5", 1)
    ]  # fmt: skip


def test_a_message_without_a_document_is_one_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('text,author\n"one,\nstill one",x\ntwo,x\nthree,x\na,y\nb,y\nc,y\nd,z\n')
    corpus = load_file(path)
    assert [message.fold for message in corpus.messages] == [0, 1, 2, 0, 1, 2]
    assert corpus.messages[0].text == "one,\nstill one"
    assert corpus.authors == ("x", "y")
    assert corpus.description["authors_left_out"] == 1


GOOD = b'{"text": "a", "author": "x"}\n'


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.txt", GOOD, "unknown extension '.txt'"),
        ("a.jsonl", b"", "empty"),
        ("a.csv", b"", "empty"),
        ("a.csv", b"text,author\n", "empty"),
        ("a.jsonl", GOOD + b"\n{no}\n", "line 3: invalid JSON"),
        ("a.jsonl", GOOD + b"[1]\n", "line 2: not a JSON object"),
        ("a.jsonl", GOOD + b'{"text": "b"}\n', "line 2: missing field 'author'"),
        ("a.jsonl", GOOD + b'{"text": "", "author": "x"}\n', "line 2: missing field 'text'"),
        ("a.jsonl", GOOD + b'{"text": 7, "author": "x"}\n', "line 2: field 'text' is not a string"),
        ("a.jsonl", GOOD + GOOD + b'{"text": "\xff"}\n', "line 3: not valid UTF-8"),
        ("a.csv", b"text,writer\na,x\n", "line 1: missing field 'author'"),
        ("a.csv", b"text,author\na,x\nb\n", "line 3: missing field 'author'"),
        ("a.csv", b'text,author\n"a"b,x\n', "line 2: invalid CSV"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(
    tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=words):
        read_records(tmp_path / name)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.csv: No such file"):
        read_records(tmp_path / "gone.csv")


def test_one_author_or_too_few_messages_are_refused(tmp_path: Path) -> None:
    alone = jsonl(tmp_path / "a.jsonl", [{"text": "a", "author": "x"}] * 5)
    with pytest.raises(DataError, match="one author only"):
        load_file(alone)
    few = jsonl(tmp_path / "b.jsonl", [{"text": "a", "author": a} for a in "xxxxyy"])
    with pytest.raises(DataError, match="too few messages per author"):
        load_file(few)
