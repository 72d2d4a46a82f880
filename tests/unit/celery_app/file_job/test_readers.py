"""The readers of a file job give each row once, also from the middle on, and name what is wrong."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from typing import Any

import pytest

from celery_app.file_job.errors import JobError
from celery_app.file_job.readers import lines
from celery_app.file_job.readers.inputs import Input
from celery_app.file_job.readers.json_lines import json_lines
from celery_app.file_job.readers.rows import BLOCK_ROWS, Row

MANY = 3 * BLOCK_ROWS + 7


def saved(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def rows(path: Path, start: int = 0) -> list[Row]:
    return [row for block in Input(str(path)).blocks(start) for row in block.rows]


def found(path: Path) -> list[Any]:
    """Returns the text of each row, or the code and the detail of its error; and the refs."""
    return [
        ((row.failure.code, row.failure.detail) if row.failure else row.text, ref(row))
        for row in rows(path)
    ]


def ref(row: Row) -> Any:
    return json.loads(bytes(row.ref)) if row.ref else None


def written(folder: Path, extension: str) -> Path:
    """Writes a file of ``MANY`` rows, with texts of several lines in CSV."""
    path = folder / f"many{extension}"
    texts = [f'say "{n}",\nplease' for n in range(MANY)]
    if extension == ".parquet":
        arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        table = arrow.table({"id": list(range(MANY)), "other": texts, "text": texts})
        parquet.write_table(table, path, row_group_size=100)
    elif extension == ".csv":
        doubled = (text.replace('"', '""') for text in texts)
        body = "".join(f'{n},"{text}"\r\n' for n, text in enumerate(doubled))
        path.write_bytes(f"id,text\r\n{body}".encode())
    else:
        body = (json.dumps({"id": n, "text": text}) for n, text in enumerate(texts))
        path.write_text("\n".join(body))
    return path


@pytest.mark.parametrize("extension", [".jsonl", ".csv", ".parquet"])
def test_a_reader_goes_on_behind_any_block(extension: str, tmp_path: Path) -> None:
    path = written(tmp_path, extension)
    whole = rows(path)
    assert [int(ref(row)) for row in whole] == list(range(MANY))
    assert whole[5].text == 'say "5",\nplease'
    given = Input(str(path))
    read = 0
    for block in given.blocks(0):
        read += len(block.rows)
        assert [row.text for row in rows(path, block.end)] == [row.text for row in whole[read:]]
    assert block.end == given.size


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('{"text": "a", "ref": "mine", "id": 7}', ("a", "mine")),
        ('{"text": "a", "id": 7, "more": [{}]}', ("a", 7)),
        ('{"text": "a", "ref": {"page": 1}}\r', ("a", {"page": 1})),
        ('{"text": "a\u2028b"}', ("a\u2028b", None)),
        ("", (("not_json", "the line is blank"), None)),
        ("nope", (("not_json", "JSON is malformed: invalid character (byte 4)"), None)),
        ("[1]", (("invalid", "Expected `object`, got `array`"), None)),
        ('{"id": 7}', (("invalid", "missing field text"), 7)),
        ('{"text": 5, "ref": "r"}', (("invalid", "text must be a string, not int"), "r")),
        (b'{"text": "\xff"}', (("not_json", "the line is not UTF-8"), None)),
    ],
)
def test_a_line_becomes_a_row_or_an_error(
    line: str | bytes, expected: tuple[Any, Any], tmp_path: Path
) -> None:
    line = line if isinstance(line, bytes) else line.encode()
    path = saved(tmp_path, "in.jsonl", b'\xef\xbb\xbf{"text": "x"}\n' + line + b'\n{"text": "y"}')
    assert found(path) == [("x", None), expected, ("y", None)]


def test_a_deeply_nested_line_is_an_error_of_its_own(tmp_path: Path) -> None:
    nested = '{"text": ' + "[" * 100_000
    path = saved(tmp_path, "in.jsonl", f'{nested}\n{{"text": "y"}}\n')
    [(first, _), second] = found(path)
    assert first[0] == "not_json"
    assert second == ("y", None)


@pytest.mark.parametrize("ended", ["\n", ""])
def test_a_line_beyond_the_limit_is_an_error_of_its_own(
    ended: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", 1000)
    long = json.dumps({"text": "a" * (3 * lines.READ_BYTES)})
    path = saved(tmp_path, "in.jsonl", f'{{"text": "x"}}\n{long}\n{long}{ended}')
    [first, second, third] = found(path)
    assert first == ("x", None)
    assert second[0][0] == third[0][0] == "too_large"
    [*_, last] = Input(str(path)).blocks(0)
    assert last.end == path.stat().st_size


def test_a_pipe_gives_what_it_has_before_its_end() -> None:
    read, write = os.pipe()
    try:
        os.write(write, b'{"text": "a"}\n{"text": "b"}\n{"te')
        blocks = json_lines(FileIO(read), 0)
        assert [row.text for row in next(blocks).rows] == ["a", "b"]
        os.write(write, b'xt": "c"}\n')
        assert [row.text for row in next(blocks).rows] == ["c"]
    finally:
        os.close(write)
    assert list(blocks) == []


def test_a_header_beyond_the_limit_is_refused_with_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", 1000)
    path = saved(tmp_path, "in.csv", f"text,{'a' * 2000}\nx,1\n")
    with pytest.raises(JobError, match=r"in\.csv, line 1: the line has more than .*: check that"):
        rows(path)


def test_a_ref_that_is_not_utf8_is_an_error_of_its_row(tmp_path: Path) -> None:
    path = saved(tmp_path, "in.jsonl", b'{"text": "a", "ref": "\xff"}\n{"text": "b"}\n')
    assert found(path) == [(("not_json", "the line is not UTF-8"), None), ("b", None)]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_header_decides_on_the_delimiter(delimiter: str, tmp_path: Path) -> None:
    content = f"ref{delimiter}text\n1{delimiter}a\n".encode()
    assert found(saved(tmp_path, "in.csv", b"\xef\xbb\xbf" + content)) == [("a", "1")]


def test_a_row_of_csv_that_can_not_be_used_fails_alone(tmp_path: Path) -> None:
    path = saved(
        tmp_path, "in.csv", b'id,text\n1,a\n2\n3,b,c\n\n4,\xff\n5,"a" b\n6,"two\nlines"\n7,z'
    )
    assert found(path) == [
        ("a", "1"),
        (("invalid", "the row has no cell in the column text"), "2"),
        (("invalid", "3 cells, but the header has 2"), "3"),
        (("invalid", "the row has no cell in the column text"), None),
        (("invalid", "text is not UTF-8"), "4"),
        (("invalid", "invalid CSV: ',' expected after '\"'"), None),
        ("two\nlines", "6"),
        ("z", "7"),
    ]


@pytest.mark.parametrize("name", ["in.jsonl", "in.csv"])
def test_an_empty_file_has_no_row(name: str, tmp_path: Path) -> None:
    assert rows(saved(tmp_path, name, "")) == []


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("in.txt", "a", "unknown extension '.txt': rename the file to one of .jsonl, "),
        ("in.csv", "body,author\nx,y\n", "line 1: the header has no column 'text', only 'body'"),
        ("in.jsonl", b"\x1f\x8b\x08", "compressed by gzip: gunzip -c FILE"),
        ("in.csv", "text\na\n".encode("utf-16"), "in UTF-16: convert it: iconv"),
        ("in.csv", b"PK\x03\x04", "a spreadsheet: save it as .csv"),
        ("in.csv", "text;text\na;b\n", "line 1: two columns are named 'text': rename one of them"),
        ("in.csv", "text,id\ra,1\rb,2\r", r"line 1: the line ends with CR alone: .*: tr '.r' '.n'"),
        ("in.parquet", "no such thing", "no Parquet file, or damaged: "),
    ],
)
def test_a_file_of_another_kind_is_refused_with_a_remedy(
    name: str, content: str | bytes, error: str, tmp_path: Path
) -> None:
    if name == "in.parquet":
        pytest.importorskip("pyarrow")
    path = saved(tmp_path, name, content)
    with pytest.raises(JobError, match=error) as raised:
        rows(path)
    assert str(raised.value).startswith(str(path))
    assert "\n" not in str(raised.value)


def test_parquet_without_one_column_text_is_refused_and_a_null_is_an_error_of_its_row(
    tmp_path: Path,
) -> None:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "in.parquet"
    parquet.write_table(arrow.table({"body": ["a"]}), path)
    with pytest.raises(JobError, match="no column 'text', only body"):
        rows(path)
    twice = [arrow.array(["a"]), arrow.array(["b"])]
    parquet.write_table(arrow.Table.from_arrays(twice, names=["text", "text"]), path)
    with pytest.raises(JobError, match="two columns are named 'text'"):
        rows(path)
    parquet.write_table(arrow.table({"text": ["a", None]}), path)
    assert found(path) == [
        ("a", None),
        (("invalid", "text must be a string, not NoneType"), None),
    ]


def test_a_value_of_parquet_that_python_does_not_have_fails_its_row_alone(tmp_path: Path) -> None:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "in.parquet"
    texts = arrow.array([b"a", b"\xff", b"c", b"d"]).view(arrow.string())
    days = arrow.array([0, 0, 2**24, 0], arrow.int32()).view(arrow.date32())
    parquet.write_table(arrow.table({"text": texts, "id": days}), path)
    [first, (second, _), (third, _), fourth] = found(path)
    assert [first, fourth] == [("a", "1970-01-01"), ("d", "1970-01-01")]
    assert second[0] == third[0] == "invalid"
    assert "the row can't be read: 'utf-8' codec can't decode byte 0xff" in second[1]
    assert "the row can't be read: date value out of range" in third[1]


def test_a_file_that_changes_while_it_is_read_is_noticed(tmp_path: Path) -> None:
    given = Input(str(path := saved(tmp_path, "in.jsonl", '{"text": "a"}\n')))
    given.check_unchanged()
    path.write_text('{"text": "b"}\n{"text": "c"}\n')
    with pytest.raises(JobError, match="the file changed while it was read"):
        given.check_unchanged()


@pytest.fixture
def fifo(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "in.parquet"
    os.mkfifo(path)
    holder = os.open(path, os.O_RDWR)
    yield path
    os.close(holder)


def test_parquet_from_a_pipe_is_refused(fifo: Path) -> None:
    pytest.importorskip("pyarrow")
    with pytest.raises(JobError, match="from a pipe: name a file"):
        Input(str(fifo))
