"""Tests of the reader of Parquet files."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path
from typing import Any

import pytest

from model.training.errors import DataError
from model.training.importers import parquetfile
from model.training.importers.datafile import read_data
from model.training.importers.records import Reading

pyarrow = pytest.importorskip("pyarrow", reason="the extra `parquet` is not installed")
from pyarrow import parquet  # noqa: E402

MESSAGES = {"text": ["a", "bé\nc"] * 1500, "author": ["x", "y"] * 1500}


def write(path: Path, columns: dict[str, Any], **options: Any) -> Path:
    parquet.write_table(pyarrow.table(columns), path, **options)
    return path


def test_rows_are_read_with_and_without_documents_and_other_columns(tmp_path: Path) -> None:
    shares: list[float] = []
    columns = MESSAGES | {"document": list(range(3000)), "more": [None] * 3000}
    path = write(tmp_path / "a.parquet", columns, row_group_size=1000)
    records = read_data(path, Reading(shares.append))
    assert [(r.text, r.author, r.document) for r in records[:2]] == [
        ("a", "x", "= 0"),
        ("bé\nc", "y", "= 1"),
    ]
    assert len(records) == 3000
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    records = read_data(write(tmp_path / "b", MESSAGES), Reading())
    assert [r.document for r in records[-2:]] == ["row 2999", "row 3000"]


def test_categories_and_compressed_files_are_read(tmp_path: Path) -> None:
    authors = pyarrow.array(MESSAGES["author"]).dictionary_encode()
    path = write(tmp_path / "a.parquet", MESSAGES | {"author": authors})
    zipped = tmp_path / "a.parquet.gz"
    zipped.write_bytes(gzip.compress(path.read_bytes()))
    assert read_data(path, Reading()) == read_data(zipped, Reading())


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (
            {"text": ["a"], "writer": ["x"]},
            "missing field 'author'; fields found: 'text', 'writer'",
        ),
        ({"text": ["a"], "Author": ["x"]}, "rename 'Author' to 'author'"),
        ({"text": [], "author": []}, "the file is empty"),
        ({"text": ["a", None], "author": ["x", "x"]}, "row 2: field 'text' is null: correct"),
        ({"text": ["a", " "], "author": ["x", "x"]}, "row 2: field 'text' is blank"),
        ({"text": [1], "author": ["x"]}, "row 1: field 'text' is not a string"),
        ({"text": ["a"], "author": ["x"], "document": [[1]]}, "row 1: field 'document' is neither"),
    ],
)
def test_rows_and_columns_that_can_not_be_used_are_refused(
    tmp_path: Path, columns: dict[str, Any], words: str
) -> None:
    with pytest.raises(DataError, match=words):
        read_data(write(tmp_path / "a.parquet", columns), Reading())


@pytest.mark.parametrize(
    "kind", [pyarrow.timestamp("us"), pyarrow.timestamp("us", "No/Zone"), pyarrow.date32()]
)
def test_column_of_dates_is_refused(tmp_path: Path, kind: Any) -> None:
    dates = pyarrow.array([2**30], kind)  # the date32 is after the year 9999
    path = write(tmp_path / "a.parquet", {"text": ["a"], "author": ["x"], "document": dates})
    with pytest.raises(DataError, match="column 'document' holds dates or times: write them as"):
        read_data(path, Reading())


def test_column_that_comes_twice_is_refused(tmp_path: Path) -> None:
    arrays = [pyarrow.array(["a"])] * 3
    table = pyarrow.Table.from_arrays(arrays, ["text", "author", "text"])
    parquet.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(DataError, match="column 'text' comes twice: rename one"):
        read_data(tmp_path / "a.parquet", Reading())


def test_text_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    text = pyarrow.array([b"caf\xe9"]).view(pyarrow.string())
    path = write(tmp_path / "a.parquet", {"text": text, "author": ["x"]})
    with pytest.raises(DataError, match="the Parquet file is damaged or cut off"):
        read_data(path, Reading())


@pytest.mark.parametrize("kept", [4, 8, 100, -1])
def test_truncated_file_is_refused(tmp_path: Path, kept: int) -> None:
    path = write(tmp_path / "a.parquet", MESSAGES)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(DataError, match=r"a\.parquet: the Parquet file is damaged or .*: write or"):
        read_data(path, Reading())


def test_file_with_damaged_pages_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", MESSAGES)
    content = path.read_bytes()
    path.write_bytes(content[:4] + b"\xff" * 100 + content[104:])
    with pytest.raises(DataError, match="the Parquet file is damaged or cut off"):
        read_data(path, Reading())


def test_row_group_that_takes_too_much_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquetfile, "MAX_GROUP_BYTES", 1000)
    texts = ["a", "b" * 2000]
    path = write(tmp_path / "a.parquet", {"text": texts, "author": ["x", "x"]}, row_group_size=1)
    words = (
        r"row group 2: it has \d,\d\d\d bytes, at most 1,000: write the file with a smaller row_g"
    )
    with pytest.raises(DataError, match=words):
        read_data(path, Reading())


def test_missing_pyarrow_is_an_error_that_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.parquet", MESSAGES)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DataError, match=r"the extra 'parquet': install it with .*parquet\.lock"):
        read_data(path, Reading())
