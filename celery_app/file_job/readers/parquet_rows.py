"""Reads Parquet: a file with the column ``text``. Needs the package pyarrow."""

from __future__ import annotations

from collections.abc import Iterator
from io import FileIO
from typing import Any

import msgspec
from msgspec import UNSET, Raw
from pyarrow import ArrowException, RecordBatch
from pyarrow.parquet import ParquetFile

from celery_app.file_job.errors import JobError
from celery_app.file_job.readers.csv_rows import REFS
from celery_app.file_job.readers.rows import BLOCK_ROWS, Block, Row, in_blocks, unusable

#: Errors for a value that Python does not have: a string that is not UTF-8, or a very distant date.
_NO_VALUE = (ValueError, OverflowError)


def count(file: FileIO, name: str) -> int:
    """Returns the number of rows of a Parquet file. Raises ``JobError`` if it can't be read."""
    return int(_opened(file, name).metadata.num_rows)


def parquet_rows(file: FileIO, start: int, name: str) -> Iterator[Block]:
    """Yields the rows of a Parquet file in blocks, from row number ``start`` on.

    The first row of the file is row 0. ``name`` is the file's name in errors.

    Raises:
        JobError: the file is no Parquet file, or does not have exactly one column ``text``.
    """
    try:
        yield from in_blocks(_rows(_opened(file, name), start), lambda: False)
    except (ArrowException, OSError) as error:
        raise _damaged(name, error) from None


def _opened(file: FileIO, name: str) -> ParquetFile:
    try:
        opened = ParquetFile(file)
    except (ArrowException, OSError) as error:
        raise _damaged(name, error) from None
    if "text" not in (columns := opened.schema_arrow.names):
        found = ", ".join(columns)
        raise JobError(f"{name}: no column 'text', only {found}: name the column of the messages")
    if columns.count("text") > 1:
        raise JobError(f"{name}: two columns are named 'text': rename one of them")
    return opened


def _damaged(name: str, error: Exception) -> JobError:
    reason = str(error).splitlines()[0]
    return JobError(f"{name}: no Parquet file, or damaged: {reason}: write the file anew")


def _rows(file: ParquetFile, start: int) -> Iterator[tuple[Row, int]]:
    """Yields the rows from row number ``start`` on, each with the number of the next row."""
    columns = ["text", *[each for each in REFS if each in file.schema_arrow.names][:1]]
    groups, number = _groups(file, start)
    for batch in file.iter_batches(BLOCK_ROWS, row_groups=groups, columns=columns):
        for row in _rows_of(batch, columns):
            number += 1
            if number > start:
                yield row, number


def _rows_of(batch: RecordBatch, columns: list[str]) -> list[Row]:
    try:
        return [_row(fields, columns) for fields in batch.to_pylist()]
    except _NO_VALUE:
        return [_single_row(batch.slice(index, 1), columns) for index in range(len(batch))]


def _single_row(batch: RecordBatch, columns: list[str]) -> Row:
    try:
        [fields] = batch.to_pylist()
    except _NO_VALUE as error:
        return unusable(f"the row can't be read: {error}")
    return _row(fields, columns)


def _groups(file: ParquetFile, start: int) -> tuple[list[int], int]:
    """Returns the indices of the row groups to read, and the number of their first row.

    The first of these row groups has the row number ``start``.
    """
    first = number = 0
    sizes = [file.metadata.row_group(each).num_rows for each in range(file.num_row_groups)]
    while first < len(sizes) and number + sizes[first] <= start:
        number += sizes[first]
        first += 1
    return list(range(first, len(sizes))), number


def _row(fields: dict[str, Any], columns: list[str]) -> Row:
    text, named = fields["text"], [fields[column] for column in columns[1:]]
    # Some types of Parquet, such as times, have no form in JSON of their own: str() has one.
    ref = Raw(msgspec.json.encode(named[0], enc_hook=str)) if named else UNSET
    if not isinstance(text, str):
        return unusable(f"text must be a string, not {type(text).__name__}", ref)
    return Row(text, ref)
