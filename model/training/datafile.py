"""Reads labelled messages from a user's .jsonl or .csv file, and reports errors by line."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple


class DataError(ValueError):
    """The data can't be used for training. The error's text tells the user what is wrong."""


class Record(NamedTuple):
    """A text, its author, and the document that the text is part of."""

    text: str
    author: str
    #: Name of the document, which differs from the names of the author's other documents.
    document: str


def read_records(path: Path) -> list[Record]:
    """Returns the records of a .jsonl or .csv file, each with the fields text, author and document.

    The field ``document`` is optional: a record without it is a document of its own.

    Raises:
        DataError: the file does not exist, is empty, has an unknown extension, is not UTF-8, or
            has an invalid line or a missing field. The error's text names the line if there is one.
    """
    readers = {".jsonl": _jsonl, ".csv": _csv}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise DataError(f"{path}: unknown extension {path.suffix!r}, expected .jsonl or .csv")
    records = [_record(path, line, fields) for line, fields in reader(path, _decode(path))]
    if not records:
        raise DataError(f"{path}: the file is empty")
    return records


def _decode(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise DataError(f"{path}, line {line}: not valid UTF-8") from error


def _jsonl(path: Path, content: str) -> Iterator[tuple[int, dict[str, Any]]]:
    # Not splitlines, which also splits at U+2028 and the like. JSON strings may contain them.
    for line, row in enumerate(content.split("\n"), 1):
        if not row.strip():
            continue
        try:
            fields = json.loads(row)
        except json.JSONDecodeError as error:
            raise DataError(f"{path}, line {line}: invalid JSON: {error.msg}") from error
        if not isinstance(fields, dict):
            raise DataError(f"{path}, line {line}: not a JSON object")
        yield line, fields


def _csv(path: Path, content: str) -> Iterator[tuple[int, dict[str, Any]]]:
    rows = csv.DictReader(io.StringIO(content, newline=""), strict=True)
    try:
        missing = {"text", "author"} - set(rows.fieldnames or ())
        if missing and content.strip():
            raise DataError(f"{path}, line 1: missing field {min(missing)!r}")
        for fields in rows:
            yield rows.line_num, fields
    except csv.Error as error:
        raise DataError(f"{path}, line {rows.reader.line_num}: invalid CSV: {error}") from error


def _record(path: Path, line: int, fields: dict[str, Any]) -> Record:
    """Returns the record of a line.

    Raises:
        DataError: the text or the author is missing, empty or not a string.
    """
    for name in ("text", "author"):
        value = fields.get(name)
        if value is not None and not isinstance(value, str):
            raise DataError(f"{path}, line {line}: field {name!r} is not a string")
        if not (value or "").strip():
            raise DataError(f"{path}, line {line}: missing field {name!r}")
    document = fields.get("document")
    own = document is None or document == ""
    # The prefixes differ, so that the name of a line never equals the name of a document.
    return Record(fields["text"], fields["author"], f"line {line}" if own else f"= {document}")
