"""Tests of the formats of data files that are read: as programs export them, and compressed."""

from __future__ import annotations

import codecs
import gzip
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from model.training.errors import DataError
from model.training.importers.datafile import read_data
from model.training.importers.records import Reading
from model.training.importers.textfile import CHUNK_BYTES, MAX_LINE

#: Two messages: one has a comma, quotes, a line break and letters beyond ASCII.
MESSAGES = [('a, "b"\nünd c — \U0001f600', "Zoë"), ("d", "x;y")]
Encode = Callable[[str], bytes]


def csv_text(delimiter: str = ",", end: str = "\n", before: str = "") -> str:
    rows = [("text", "author"), *MESSAGES]
    cells = [['"' + cell.replace('"', '""') + '"' for cell in row] for row in rows]
    return before + "".join(delimiter.join(row) + "\n" for row in cells).replace("\n", end)


def read(path: Path, content: bytes, reading: Reading | None = None) -> list[tuple[str, str]]:
    path.write_bytes(content)
    return [(record.text, record.author) for record in read_data(path, reading or Reading())]


JSON = [
    json.dumps({"text": text, "author": author}, ensure_ascii=False) for text, author in MESSAGES
]
CONTENTS = {
    "a.csv": csv_text(),
    "semicolons.csv": csv_text(";"),
    "sep.csv": csv_text(";", before="sep=;\n"),
    "sep-tab.csv": csv_text("\t", before="sep=\t\n"),
    "pipes.csv": csv_text("|"),
    "tabs.txt": csv_text("\t", "\r\n"),
    "tabs.tsv": csv_text("\t"),
    "windows.csv": csv_text(end="\r\n"),
    "mac.csv": csv_text(end="\r"),
    "spaces.csv": csv_text(", "),
    "misnamed.jsonl": csv_text(),
    "blank-lines.csv": "\n\n" + csv_text().replace("d", "d", 1),
    "lines.jsonl": "\n\n".join(JSON),
    "lines.ndjson": "\r\n".join(JSON) + "\r\n",
    "mac.jsonl": "\r".join(JSON),
    "misnamed.csv": "\n".join(JSON),
    "array.json": " \n[" + ",".join(JSON) + "]\n",
    "pretty.json": json.dumps([json.loads(one) for one in JSON], indent=4),
    "array.jsonl": "[" + " , ".join(JSON) + "]",
}
ENCODINGS: dict[str, Encode] = {
    "UTF-8": str.encode,
    "UTF-8 with a mark": lambda text: codecs.BOM_UTF8 + text.encode(),
    "UTF-16 little": lambda text: codecs.BOM_UTF16_LE + text.encode("utf-16-le"),
    "UTF-16 big": lambda text: codecs.BOM_UTF16_BE + text.encode("utf-16-be"),
}


@pytest.mark.parametrize("encode", ENCODINGS.values(), ids=ENCODINGS)
@pytest.mark.parametrize("name", CONTENTS)
@pytest.mark.parametrize("compressed", [False, True])
def test_messages_are_read_in_each_format_and_encoding(
    tmp_path: Path, name: str, encode: Encode, compressed: bool
) -> None:
    content = encode(CONTENTS[name])
    if compressed:
        name, content = name + ".gz", gzip.compress(content)
    assert read(tmp_path / name, content) == MESSAGES


@pytest.mark.parametrize(
    ("name", "encode", "note"),
    [
        ("a.csv", "UTF-8", "CSV in UTF-8: the delimiter is ',', quotes are \""),
        ("sep.csv", "UTF-8", "CSV in UTF-8: the delimiter is ';', quotes are \""),
        ("tabs.txt", "UTF-16 little", 'CSV in UTF-16: the delimiter is a tab, quotes are "'),
    ],
)
def test_dialect_of_a_csv_file_is_shown(tmp_path: Path, name: str, encode: str, note: str) -> None:
    reading = Reading()
    read(tmp_path / name, ENCODINGS[encode](CONTENTS[name]), reading)
    assert reading.notes == [note]


def test_single_quotes_and_spaces_after_delimiters_are_found(tmp_path: Path) -> None:
    reading = Reading()
    content = b"'text', 'author'\n'a, b', 'x'\n'c', 'y'\n"
    assert read(tmp_path / "a.csv", content, reading) == [("a, b", "x"), ("c", "y")]
    assert reading.notes == [
        "CSV in UTF-8: the delimiter is ',', quotes are ', a space after each delimiter"
    ]


def test_quotes_after_a_space_are_no_part_of_a_cell(tmp_path: Path) -> None:
    content = b'text,author\nhello,Bob\n"Hello, there", "Ann"\n'
    assert read(tmp_path / "a.csv", content) == [("hello", "Bob"), ("Hello, there", "Ann")]


def test_messages_longer_than_what_is_read_at_a_time_are_read(tmp_path: Path) -> None:
    text = "é" * CHUNK_BYTES
    lines = [json.dumps({"text": text, "author": author}, ensure_ascii=False) for author in "xyz"]
    for name, content in (("a.jsonl", "\n".join(lines)), ("a.json", f"[{','.join(lines)}]")):
        assert read(tmp_path / name, content.encode()) == [(text, author) for author in "xyz"]


def test_line_ends_of_windows_that_are_split_between_reads_are_one(tmp_path: Path) -> None:
    row = b'"a",x\r\n'
    header = b"text,author\r\n"
    for shift in (0, 1):
        padding = CHUNK_BYTES - 1 + shift - len(header) - len(b'"",x\r')
        content = header + b'"' + b"b" * padding + b'",x\r\n' + row
        assert [text for text, _ in read(tmp_path / "a.csv", content)] == ["b" * padding, "a"]


@pytest.mark.parametrize(
    ("name", "start", "place"),
    [
        ("a.jsonl", b'{"text": "a", "author": "x"}\n{"text": "', "line 2"),
        ("a.csv", b'text,author\na,x\n"', "line 3"),
        ("a.json", b'[{"text": "a", "author": "x"}, {"text": "', "message 2"),
    ],
)
@pytest.mark.parametrize("compressed", [False, True])
def test_line_of_a_gigabyte_is_refused_by_its_size(
    tmp_path: Path, name: str, start: bytes, place: str, compressed: bool
) -> None:
    path = tmp_path / name
    if compressed:
        with gzip.open(path, "wb", compresslevel=1) as file:
            file.write(start)
            for _ in range(MAX_LINE // 2**20 + 2):
                file.write(b"b" * 2**20)
    else:
        with path.open("wb") as sparse:
            sparse.write(start + b"b" * 4096)  # the zeros of the hole come later
            sparse.truncate(2**30)
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=f"{place}: .* more than {MAX_LINE:,} characters"):
            read_data(path, Reading())
        assert tracemalloc.get_traced_memory()[1] < 8 * MAX_LINE
    finally:
        tracemalloc.stop()


def test_share_that_is_read_grows_to_one(tmp_path: Path) -> None:
    shares: list[float] = []
    line = json.dumps({"text": "a" * 1000, "author": "x"}) + "\n"
    for name, content in (
        ("a.jsonl", line.encode() * 2000),
        ("b.jsonl.gz", gzip.compress(line.encode() * 2000)),
    ):
        shares.clear()
        read(tmp_path / name, content, Reading(shares.append))
        assert shares == sorted(shares)
        assert shares[-1] == 1.0
