"""Tests of the reader of data files: bad files are refused, with the line and a remedy."""

from __future__ import annotations

import csv
import gzip
import json
import os
from pathlib import Path

import pytest

from model.training.errors import DataError
from model.training.importers.datafile import read_data
from model.training.importers.records import Reading

GOOD = b'{"text": "a", "author": "x"}\n'
#: Without the time, so that each process of pytest-xdist collects tests of the same names.
GZIPPED = gzip.compress(GOOD, mtime=0)
HEADER = b"text,author\n"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.doc", GOOD, r"a\.doc: unknown extension '\.doc', expected \.jsonl, .*: rename"),
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
        (
            "a.jsonl",
            GOOD + GOOD + b'{"text": "\xff"}\n',
            "line 3: byte 69 is not valid UTF-8: conv",
        ),
        (
            "a.jsonl",
            b"\r".join([GOOD.strip()] * 2) + b"\r\xff",
            "line 3: byte 59 is not valid UTF-8",
        ),
        ("a.jsonl", GOOD + b'{"text": "\xc3', "line 2: byte 40 is not valid UTF-8"),
        ("a.jsonl", b'{"n": ' + b"9" * 5000 + b"}\n", "line 1: a number has too many digits"),
        ("a.jsonl", b"{" + b'"a":{' * 100_000 + b"}" * 100_001, "line 1: nested too deeply"),
        ("a.jsonl", GOOD + b"[" * 100_000 + b"]" * 100_000, "line 2: nested too deeply"),
        ("a.jsonl", GOOD[:-2] + b', "document": [1]}', "line 1: field 'document' is neither"),
        ("a.jsonl", GOOD.strip() * 2, r"line 1: invalid JSON: more than one value \(column 29\)"),
        ("a.json", b"[" + GOOD, "message 2: the array has no end: the file is cut off"),
        ("a.json", b"[" + GOOD + b', {"text": "b', "message 2: invalid JSON: Unterminated string"),
        (
            "a.json",
            b"[" + GOOD + b"," + GOOD + b"] []",
            "message 3: text follows the end of the ar",
        ),
        ("a.json", b"[" + GOOD + b', "b"]', "message 2: not a JSON object: write"),
        ("a.json", b"[" + GOOD + b', {"text": "b"}]', "message 2: missing field 'author'"),
        ("a.json", b"[]", "the file is empty: write"),
        ("a.json", b"[" * 100_000, "message 1: nested too deeply"),
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
        ("a.csv", b"sep=;\ntext;writer\na;x\n", "line 2: missing field 'author'"),
        ("a.csv", b"sep=;\ntext;author\na;x\n ;y\n", "line 4: field 'text' is blank"),
        ("a.csv", b"text,author,text\na,x,b\n", "line 1: column 'text' comes twice"),
        ("a.csv", HEADER + b"a,x\n" + HEADER, "line 3: the header comes again: delete"),
        ("a.csv", HEADER + b"a,x\nb\n", "line 3: too few cells: 1, but the header has 2"),
        ("a.csv", HEADER + b"a,x\nb, c,x\n", "line 3: 3 cells, but the header has 2: put a text"),
        ("a.csv", HEADER + b"a,x\n ,x\n", "line 3: field 'text' is blank"),
        ("a.csv", HEADER + b'"a\nb",x\n\n,x\n', "line 5: field 'text' is blank"),
        ("a.csv", HEADER + b'"a"b,x\n', "line 2: invalid CSV: .*: put a text with"),
        ("a.csv", HEADER + b'a,x\n"never closed,x\na,x\n', "line 3: invalid CSV"),
        ("a.csv", HEADER + b"caf\xe9,x\n", "line 2: byte 16 is not valid UTF-8: convert"),
        ("a.jsonl.gz", GZIPPED[:-9], "the gzip file is damaged or cut off: copy or compress it ag"),
        ("a.jsonl.gz", GZIPPED[:20], "the gzip file is damaged or cut off"),
        ("a.jsonl.gz", GZIPPED[:10] + b"\xff" * 30, "the gzip file is damaged or cut off"),
        ("a.jsonl.gz", gzip.compress(GZIPPED, mtime=0), "compressed twice by gzip: unpack it"),
        ("a.jsonl.gz", gzip.compress(b"", mtime=0), "the file is empty: write"),
        ("a.csv", b"PK\x03\x04", "a ZIP archive or a spreadsheet: unpack it, or save"),
        (
            "a.csv",
            "text,author\na,x\n".encode("utf-16") + b"\0\xd8a\0",
            "line 3: byte 35 is not vali",
        ),
        (
            "a.jsonl",
            GOOD.decode().encode("utf-16") + b"a",
            "line 2: byte 61 is not valid UTF-16: save",
        ),
        (
            "a.jsonl",
            GOOD.decode().encode("utf-16-le"),
            "UTF-16 without a byte order mark.*iconv -f",
        ),
        ("a.jsonl", GOOD.decode().encode("utf-32"), "UTF-32: .*iconv -f UTF-32"),
    ],
)
def test_error_is_one_line_with_place_finding_and_remedy(
    tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=words) as raised:
        read_data(tmp_path / name, Reading())
    assert str(raised.value).isprintable()
    assert str(raised.value).startswith(str(tmp_path / name))


def test_names_of_pipes_and_missing_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.csv: No such file or directory: check the name"):
        read_data(tmp_path / "gone.csv", Reading())
    os.mkfifo(tmp_path / "b.csv")
    with pytest.raises(DataError, match="not a file: name a file or a folder"):
        read_data(tmp_path / "b.csv", Reading())


def test_name_of_a_file_can_not_break_the_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\\nb\.txt: No such file") as raised:
        read_data(tmp_path / "a\nb.txt", Reading())
    assert str(raised.value).isprintable()


def test_texts_and_names_are_read_in_their_canonical_form(tmp_path: Path) -> None:
    rows = [
        {"text": " cafe\u0301\r\n", "author": "Zoe\u0308", "document": " e\u0301 "},
        {"text": "b\rc", "author": "Zo\u00eb ", "document": ""},
        {"text": "d", "author": "Zo\u00eb", "document": 7},
    ]
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    records = read_data(path, Reading())
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
    assert [len(record.text) for record in read_data(path, Reading())] == [2**20]
    write("a" * (2**20 + 1))
    with pytest.raises(DataError, match=r"text has 1,048,577 characters; at most 1,048,576"):
        read_data(path, Reading())
    assert csv.field_size_limit() == limit


def test_line_separator_of_unicode_within_a_text_does_not_end_the_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "a\u2028b", "author": "x"}\r\n', newline="")
    assert [record.text for record in read_data(path, Reading())] == ["a\u2028b"]
