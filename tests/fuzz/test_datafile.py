"""The reader of training data reads any file, or refuses it with an error of one line.

Training accepts the same texts and author names as serving.
"""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.training.errors import DataError
from model.training.importers.datafile import read_data
from model.training.importers.records import MAX_CHARACTERS, Reading
from tasks.errors import InvalidMessage
from tasks.messages import parse_author, parse_text
from tests.fuzz.given import ANY_TEXT, VALUES

BYTES = st.binary(max_size=200) | st.tuples(
    st.sampled_from(
        [
            *(b'{"text": "a", "author": "x"}\n', b"text,author\n", b"\xff\xfe", b"\x1f\x8b"),
            *(b"[", b'[{"text": "a", "author": "x"}, ', b"sep=;\n", b"PAR1"),
        ]
    ),
    st.binary(max_size=50),
).map(b"".join)
FIELDS = st.sampled_from(["text", "author", "document", "Text", ""]) | ANY_TEXT
ROWS = st.lists(st.dictionaries(FIELDS, VALUES | ANY_TEXT, max_size=4), max_size=4)
CELLS = st.lists(st.lists(FIELDS, max_size=4), max_size=5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files")


def read(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    try:
        records = read_data(path, Reading())
    except DataError as error:
        records, refusal = [], str(error)
    else:
        refusal = ""
    assert refusal.isprintable()
    for record in records:
        assert parse_text(record.text, MAX_CHARACTERS) == record.text
        assert parse_author(record.spelling) == record.author


@given(BYTES, st.sampled_from(["jsonl", "csv", "txt", "json", "doc"]))
def test_any_bytes_are_read_or_refused(folder: Path, content: bytes, extension: str) -> None:
    read(folder / f"a.{extension}", content)


@given(ROWS)
def test_any_lines_of_json_are_read_or_refused(folder: Path, rows: list[dict[str, Any]]) -> None:
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    read(folder / "a.jsonl", lines.encode())


@given(CELLS)
def test_any_cells_are_read_or_refused(folder: Path, cells: list[list[str]]) -> None:
    file = io.StringIO()
    csv.writer(file).writerows([["text", "author", "document"], *cells])
    read(folder / "a.csv", file.getvalue().encode("utf-8", "surrogatepass"))


@given(ANY_TEXT, ANY_TEXT)
def test_training_takes_the_texts_and_names_that_serving_takes(
    folder: Path, text: str, author: str
) -> None:
    path = folder / "one.jsonl"
    path.write_text(json.dumps({"text": text, "author": author}))
    text, author = json.loads(json.dumps([text, author]))  # It joins halves of surrogate pairs.
    try:
        expected = parse_text(text, MAX_CHARACTERS), parse_author(author)
    except InvalidMessage:
        with pytest.raises(DataError):
            read_data(path, Reading())
    else:
        [record] = read_data(path, Reading())
        assert (record.text, record.author) == expected
