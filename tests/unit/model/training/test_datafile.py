"""The errors that a user's file of messages can have."""

from __future__ import annotations

from pathlib import Path

import pytest

from model.training.datafile import DataError, read_records

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
def test_error_tells_line_and_reason(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=words):
        read_records(tmp_path / name)


def test_error_names_the_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.csv: No such file"):
        read_records(tmp_path / "gone.csv")
