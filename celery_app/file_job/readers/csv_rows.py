"""Reads CSV: a header with the column ``text``, and a row for each message."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from io import RawIOBase

import msgspec
from msgspec import UNSET, Raw, UnsetType

from celery_app.file_job.errors import JobError
from celery_app.file_job.readers.json_lines import BOM, TOO_LONG
from celery_app.file_job.readers.lines import MAX_LINE_BYTES, Lines
from celery_app.file_job.readers.rows import Block, Row, in_blocks, unusable
from model.training.errors import quoted
from tasks.errors import TooLarge

#: The delimiters that the header decides between.
DELIMITERS = ",;\t|"
#: Columns that may have the row's own name. The first one that the header has is used.
REFS = ("ref", "id")


class _TooLong(Exception):
    """A line of the file is longer than ``MAX_LINE_BYTES``."""


class _Decoded:
    """Decodes the lines of a CSV file. A byte that is not UTF-8 becomes a lone surrogate."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._first = lines.offset == 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        if line is None:
            raise _TooLong
        if self._first:
            line = line.removeprefix(BOM)
            self._first = False
        # The reader of the module csv needs the line breaks, for texts of several lines.
        return line.decode(errors="surrogateescape") + "\n"


def csv_rows(file: RawIOBase, start: int, name: str) -> Iterator[Block]:
    """Yields the rows of a CSV file in blocks.

    ``start`` is the byte at which the first row to yield begins; 0 means the first row after the
    header. If ``start`` is not 0, the file must be seekable. ``name`` is the file's name in errors.

    Raises:
        JobError: the header can't be read, or does not have exactly one column ``text``.
    """
    csv.field_size_limit(MAX_LINE_BYTES)
    lines = Lines(file)
    first = _first_line(lines, name)
    if first is None:
        return
    delimiter, header = _header(first, name)
    if start:
        file.seek(start)
        lines = Lines(file, start)
    yield from in_blocks(_rows(lines, delimiter, header), lambda: lines.at_pause)


def _first_line(lines: Lines, name: str) -> str | None:
    """Returns the first line; None if there is none. Raises ``JobError`` if it is too long."""
    try:
        return next(_Decoded(lines), None)
    except _TooLong:
        remedy = "check that the file is CSV, and that its lines end with LF or CRLF"
        raise JobError(f"{name}, line 1: {TOO_LONG}: {remedy}") from None


def _header(line: str, name: str) -> tuple[str, list[str]]:
    """Returns the delimiter and the names of the columns of the header ``line``.

    Raises:
        JobError: no delimiter gives a column ``text``, or two columns have this name, or the lines
            of the file end with CR alone.
    """
    try:
        found = [(each, next(csv.reader([line], delimiter=each), [])) for each in DELIMITERS]
    except csv.Error:  # the only error that a reader raises for one line, unless it is strict
        remedy = "convert the file: tr '\\r' '\\n' < OLD > NEW"
        raise JobError(f"{name}, line 1: the line ends with CR alone: {remedy}") from None
    for delimiter, header in found:
        if header.count("text") > 1:
            raise JobError(f"{name}, line 1: two columns are named 'text': rename one of them")
        if "text" in header:
            return delimiter, header
    columns = quoted(max((header for _, header in found), key=len))
    raise JobError(
        f"{name}, line 1: the header has no column 'text', only {columns}: name the column of the "
        "messages text"
    )


def _rows(lines: Lines, delimiter: str, header: list[str]) -> Iterator[tuple[Row, int]]:
    rows = csv.reader(_Decoded(lines), delimiter=delimiter, strict=True)
    while True:
        try:
            row = _row(next(rows), header)
        except StopIteration:
            return
        except csv.Error as error:
            row = unusable(f"invalid CSV: {error}")
        except _TooLong:
            row = unusable(TOO_LONG, code=TooLarge.code)
        yield row, lines.offset


def _row(cells: list[str], header: list[str]) -> Row:
    fields = dict(zip(header, cells, strict=False))
    ref = _ref(fields)
    if len(cells) > len(header):
        return unusable(f"{len(cells)} cells, but the header has {len(header)}", ref)
    if "text" not in fields:
        return unusable("the row has no cell in the column text", ref)
    if not _is_utf8(fields["text"]):
        return unusable("text is not UTF-8", ref)
    return Row(fields["text"], ref)


def _ref(fields: dict[str, str]) -> Raw | UnsetType:
    """Returns a row's own name, from the column ``ref`` or ``id``, as a JSON string.

    Returns UNSET if the row has no such cell, or if the cell is not UTF-8.
    """
    named = next((fields[column] for column in REFS if column in fields), None)
    if named is None or not _is_utf8(named):
        return UNSET
    return Raw(msgspec.json.encode(named))


def _is_utf8(cell: str) -> bool:
    try:
        cell.encode()
    except UnicodeEncodeError:
        return False
    return True
