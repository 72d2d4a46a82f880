"""Tests of the reader of a user's messages: good files are read, bad files are refused."""

from __future__ import annotations

import codecs
import csv
import gzip
import json
import os
from pathlib import Path

import pytest

from model.training.datafile import read_records
from model.training.errors import DataError

GOOD = b'{"text": "a", "author": "x"}\n'
#: Without the time, so that each process of pytest-xdist collects tests of the same names.
GZIPPED = gzip.compress(GOOD, mtime=0)
HEADER = b"text,author\n"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.txt", GOOD, r"a\.txt: unknown extension '\.txt', expected \.jsonl or \.csv: rename"),
        ("a.jsonl", b"", "the file is empty: write"),
        ("a.jsonl", b" \n\n", "the file is empty: write"),
        ("a.csv", HEADER, "the file is empty: write"),
        ("a.csv", b"\n\n", "the file is empty: write"),
        ("a.jsonl", GOOD + b"\n{no}\n", "line 3: invalid JSON: .*: write one object"),
        ("a.jsonl", GOOD + b"[1]\n", "line 2: not a JSON object: write one object"),
        ("a.jsonl", GOOD + b'{"text": "b"}\n', "line 2: missing field 'author'; fields found: 't"),
        ("a.jsonl", GOOD + b'{"text": "b", "author": null}', "line 2: field 'author' is null"),
        ("a.jsonl", GOOD + b'{"text": " \\n", "author": "x"}\n', "line 2: field 'text' is blank"),
        ("a.jsonl", GOOD + b'{"text": 7, "author": "x"}\n', "line 2: field 'text' is not a string"),
        (
            "a.jsonl",
            GOOD + b'{"text": "a\\u0000", "author": "x"}',
            "line 2: text holds a zero byte",
        ),
        ("a.jsonl", GOOD + b'{"text": "a\\ud800", "author": "x"}', "line 2: text holds half of a"),
        ("a.jsonl", GOOD + b'{"text": "a", "author": "x\\u0000"}', "line 2: author holds a zero"),
        (
            "a.jsonl",
            GOOD + b'{"text": "a", "text": "b", "author": "x"}',
            "field 'text' comes twice",
        ),
        ("a.jsonl", GOOD + GOOD + b'{"text": "\xff"}\n', "line 3: not valid UTF-8: convert"),
        ("a.jsonl", b'{"n": ' + b"9" * 5000 + b"}\n", "line 1: a number has too many digits"),
        ("a.jsonl", b"{" + b'"a":{' * 100_000 + b"}" * 100_001, "line 1: nested too deeply"),
        ("a.jsonl", GOOD + b"[" * 100_000 + b"]" * 100_000, "line 2: nested too deeply"),
        ("a.jsonl", GOOD[:-2] + b', "document": [1]}', "line 1: field 'document' is neither"),
        ("a.jsonl", b'[\n{"text": "a", "author": "x"}\n]', "line 1: a JSON array: .* jq -c"),
        ("a.jsonl", HEADER + b"a,x\n", "line 1: not JSON, maybe CSV: rename the file to .csv"),
        ("a.csv", GOOD, "line 1: JSON and not CSV: rename the file to .jsonl"),
        (
            "a.csv",
            b"text,writer\na,x\n",
            "line 1: missing field 'author'; fields found: 'text', 'w",
        ),
        (
            "a.csv",
            b"Text,Author\na,x\n",
            "line 1: missing field 'text'; .*: rename 'Text' to 'text'",
        ),
        ("a.csv", b"text, author\na,x\n", "rename ' author' to 'author'"),
        ("a.csv", b"text;author\na;x\n", "line 1: the delimiter is ';': save the file with commas"),
        ("a.csv", b'"text";"author"\na;x\n', "line 1: the delimiter is ';'"),
        ("a.csv", b"text\tauthor\r\na\tx\n", "line 1: the delimiter is a tab"),
        ("a.csv", b"text,author,text\na,x,b\n", "line 1: column 'text' comes twice"),
        ("a.csv", HEADER + b"a,x\n" + HEADER, "line 3: the header comes again: delete"),
        ("a.csv", HEADER + b"a,x\nb\n", "line 3: too few cells: 1, but the header has 2"),
        ("a.csv", HEADER + b"a,x\nb, c,x\n", "line 3: 3 cells, but the header has 2: put a text"),
        ("a.csv", HEADER + b"a,x\n ,x\n", "line 3: field 'text' is blank"),
        ("a.csv", HEADER + b'"a\nb",x\n\n,x\n', "line 5: field 'text' is blank"),
        ("a.csv", HEADER + b'"a"b,x\n', "line 2: invalid CSV: .*: put a text with"),
        ("a.csv", HEADER + b'a,x\n"never closed,x\na,x\n', "line 3: invalid CSV"),
        ("a.csv", HEADER + b"caf\xe9,x\n", "line 2: not valid UTF-8: convert"),
        ("a.jsonl", GZIPPED, "the file is compressed by gzip: unpack it with gunzip"),
        ("a.jsonl.gz", GZIPPED, "the file is compressed by gzip"),
        ("a.csv", b"PK\x03\x04", "a ZIP archive or a spreadsheet: unpack it, or save"),
        ("a.csv", codecs.BOM_UTF16_LE + HEADER.decode().encode("utf-16-le"), "UTF-16: .*iconv -f"),
        (
            "a.jsonl",
            codecs.BOM_UTF16_BE + GOOD.decode().encode("utf-16-be"),
            "the file is in UTF-16",
        ),
        ("a.jsonl", GOOD.decode().encode("utf-16-le"), "the file is in UTF-16"),
        ("a.jsonl", GOOD.decode().encode("utf-32"), "UTF-32: .*iconv -f UTF-32"),
    ],
)
def test_error_is_one_line_with_place_finding_and_remedy(
    tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=words) as raised:
        read_records(tmp_path / name)
    assert str(raised.value).isprintable()
    assert str(raised.value).startswith(str(tmp_path / name))


def test_names_of_folders_pipes_and_missing_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.csv: No such file or directory: check the name"):
        read_records(tmp_path / "gone.csv")
    (tmp_path / "a.csv").mkdir()
    os.mkfifo(tmp_path / "b.csv")
    for name in ("a.csv", "b.csv"):
        with pytest.raises(DataError, match="not a file"):
            read_records(tmp_path / name)


def test_name_of_a_file_can_not_break_the_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\\nb\.txt: No such file") as raised:
        read_records(tmp_path / "a\nb.txt")
    assert str(raised.value).isprintable()


def test_texts_and_names_are_read_in_their_canonical_form(tmp_path: Path) -> None:
    rows = [
        {"text": " cafe\u0301\r\n", "author": "Zoe\u0308", "document": " e\u0301 "},
        {"text": "b\rc", "author": "Zo\u00eb ", "document": ""},
        {"text": "d", "author": "Zo\u00eb", "document": 7},
    ]
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    records = read_records(path)
    assert [(r.text, r.author, r.document) for r in records] == [
        ("caf\u00e9", "Zo\u00eb", "= \u00e9"),
        ("b\nc", "Zo\u00eb", "line 2"),
        ("d", "Zo\u00eb", "= 7"),
    ]
    assert [r.has_document for r in records] == [True, False, True]


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_text_of_a_megabyte_is_read_and_a_longer_one_refused(tmp_path: Path, name: str) -> None:
    path, limit = tmp_path / name, csv.field_size_limit()

    def write(text: str) -> None:
        row = f"text,author\n{text},x\n" if name == "a.csv" else f'{{"text":"{text}","author":"x"}}'
        path.write_text(row)

    write("a" * 2**20)
    assert [len(record.text) for record in read_records(path)] == [2**20]
    write("a" * (2**20 + 1))
    with pytest.raises(DataError, match=r"text has 1,048,577 characters; at most 1,048,576"):
        read_records(path)
    assert csv.field_size_limit() == limit


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_csv_with_a_byte_order_mark_and_any_line_ends_is_read(tmp_path: Path, end: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(
        codecs.BOM_UTF8 + end.join(["author,text", "x,a", "", 'y,"b, c"', ""]).encode()
    )
    assert [(r.text, r.author) for r in read_records(path)] == [("a", "x"), ("b, c", "y")]


def test_line_separator_of_unicode_within_a_text_does_not_end_the_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "a\u2028b", "author": "x"}\r\n', newline="")
    assert [record.text for record in read_records(path)] == ["a\u2028b"]
