"""Reads the fields of each line of a .jsonl or .csv file, and refuses lines that can't be used."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from model.training.errors import DataError, place, quoted

#: The fields that each message must have.
NEEDED = ("text", "author")
#: Largest number of characters of a cell of a CSV file. The largest canonical text has a quarter of
#: this number, but a text in the file can be longer than its canonical form.
MAX_CELL = 2**22
#: Delimiters other than the comma that programs use in CSV files, and how an error names them.
OTHER_DELIMITERS = {";": "';'", "\t": "a tab", "|": "'|'"}

#: The number of a line, counted from 1, and the fields of the line.
Line = tuple[int, dict[str, Any]]


class _Doubled(Exception):
    """A JSON object has a field twice. The error's text is the field's name."""


def read_jsonl(path: Path) -> Iterator[Line]:
    """Yields the number and the JSON object of each line of a .jsonl file. Skips blank lines.

    Raises:
        DataError: a line is not a JSON object. The error's text names the line.
        UnicodeDecodeError: the file is not UTF-8.
    """
    # With newline="\n", a line does not end at U+2028, for example, which JSON strings may hold.
    with path.open(encoding="utf-8-sig", newline="\n") as file:
        for line, row in enumerate(file, 1):
            if row.strip():
                yield line, _object(row, place(path, line))


def _object(row: str, where: str) -> dict[str, Any]:
    one = 'write one object a line, such as {"text": "…", "author": "…"}'
    try:
        fields = json.loads(row, object_pairs_hook=_fields)
    except json.JSONDecodeError as error:
        finding = f"invalid JSON: {error.msg} (column {error.colno})"
        raise DataError(f"{where}: {finding}: {one}") from error
    except _Doubled as error:
        raise DataError(f"{where}: field {error} comes twice: leave one of them out") from error
    except RecursionError as error:
        raise DataError(f"{where}: nested too deeply: {one}") from error
    except ValueError as error:  # Python reads no number of more than 4,300 digits.
        raise DataError(f"{where}: a number has too many digits: write it as a string") from error
    if not isinstance(fields, dict):
        raise DataError(f"{where}: not a JSON object: {one}")
    return fields


def _fields(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise _Doubled(quoted([name for name, n in Counter(k for k, _ in pairs).items() if n > 1]))
    return fields


def read_csv(path: Path) -> Iterator[Line]:
    """Yields each row of a .csv file: the number of the row's first line, and the row's cells.

    The cells are a dict with the header's names as keys. Empty rows are left out.

    Raises:
        DataError: the header or a row can't be used. The error's text names the line.
        UnicodeDecodeError: the file is not UTF-8.
    """
    before = csv.field_size_limit(MAX_CELL)
    line = 1
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            _check_delimiter(file.readline(MAX_CELL), place(path, line))
            file.seek(0)
            rows = csv.reader(file, strict=True)
            header: list[str] = []
            for row in rows:
                if row and not header:
                    header = _checked_header(row, place(path, line))
                elif row:
                    _check_row(row, header, place(path, line))
                    yield line, dict(zip(header, row, strict=False))
                line = rows.line_num + 1
    except csv.Error as error:
        raise DataError(
            f"{place(path, line)}: invalid CSV: {error}: put a text with commas, quotes or line "
            "breaks into double quotes, and double each quote within it"
        ) from error
    finally:
        csv.field_size_limit(before)


def _checked_header(header: list[str], where: str) -> list[str]:
    """Returns the names of the columns.

    Raises:
        DataError: the column ``text`` or ``author`` is missing, or a name comes twice.
    """
    doubled = [name for name, n in Counter(header).items() if n > 1 and name]
    if doubled:
        raise DataError(f"{where}: column {quoted(doubled)} comes twice: leave one of them out")
    if missing := [name for name in NEEDED if name not in header]:
        raise DataError(f"{where}: {missing_field(missing[0], header)}")
    return header


def _check_delimiter(header: str, where: str) -> None:
    for delimiter, words in OTHER_DELIMITERS.items():
        if set(NEEDED) <= {name.strip(' "\r\n').lower() for name in header.split(delimiter)}:
            raise DataError(f"{where}: the delimiter is {words}: save the file with commas instead")


def missing_field(name: str, found: list[str]) -> str:
    """Returns the text of an error: the missing field, the fields that were found, the remedy."""
    close = [other for other in found if other.strip().lower() == name]
    remedy = f"rename {quoted(close[:1])} to {name!r}" if close else "add it, or rename another"
    return f"missing field {name!r}; fields found: {quoted(found)}: {remedy}"


def _check_row(row: list[str], header: list[str], where: str) -> None:
    """Refuses a row that repeats the header, has too many cells, or lacks a text or an author.

    Raises:
        DataError: the row is refused.
    """
    if len(row) > len(header):
        raise DataError(
            f"{where}: {len(row)} cells, but the header has {len(header)}: put a text with commas "
            "into double quotes"
        )
    if len(row) <= max(header.index(name) for name in NEEDED):
        raise DataError(
            f"{where}: too few cells: {len(row)}, but the header has {len(header)}: add the others"
        )
    if row == header:
        raise DataError(f"{where}: the header comes again: delete this line")
