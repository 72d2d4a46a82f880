"""Anyone's labelled messages, read from .jsonl or .csv."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple


class DataError(ValueError):
    """The data can't be trained on. Its words are for whoever made the file."""


class Record(NamedTuple):
    """One labelled text and the document that it is part of."""

    text: str
    author: str
    document: str


def read_records(path: Path) -> list[Record]:
    """Read fields ``text``, ``author`` and, where there is one, ``document``.

    A record without a document is a document of its own.

    Raises:
        DataError: no such file, an unknown extension, an empty file, bad UTF-8, invalid JSON or
            a missing field; the line is named where there is one.
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
    # Not splitlines: JSON may hold U+2028 and the like as they are.
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
    for name in ("text", "author"):
        value = fields.get(name)
        if value is not None and not isinstance(value, str):
            raise DataError(f"{path}, line {line}: field {name!r} is not a string")
        if not (value or "").strip():
            raise DataError(f"{path}, line {line}: missing field {name!r}")
    document = fields.get("document")
    own = document is None or document == ""
    # Two kinds of name, so that a line's own document never meets a named one.
    return Record(fields["text"], fields["author"], f"line {line}" if own else f"= {document}")
