"""Reads labelled messages from a user's file or folder. An error names the faulty line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from model.canonical import InvalidText, canonical, parse_text
from model.training.errors import DataError, place
from model.training.importers.csvfile import read_csv
from model.training.importers.fields import NEEDED, Numbered, missing_field
from model.training.importers.filekind import Format, Kind, kind_of
from model.training.importers.folder import read_folder
from model.training.importers.jsonfile import read_array, read_jsonl
from model.training.importers.parquetfile import read_parquet
from model.training.importers.records import MAX_CHARACTERS, Reading, Record, parsed_author

#: What to do about a line that can't be used.
_REMEDY = "correct the line or delete it"
_READERS = {Format.CSV: read_csv, Format.JSONL: read_jsonl, Format.ARRAY: read_array}
#: What the numbers in errors count, if they do not count lines.
_NOUNS = {Format.ARRAY: "message", Format.PARQUET: "row"}


def read_data(path: Path, reading: Reading) -> list[Record]:
    """Returns the records of a file, or of a folder of ``author/document.txt``.

    A file is JSON lines, a JSON array, CSV or Parquet, and may be compressed by gzip. Each message
    has the fields ``text`` and ``author``, and may have the field ``document``. Without this field,
    the message is a document of its own. Texts and names get the same canonical form as in serving.

    Raises:
        DataError: the file or a line can't be used. The error's text says why, and where.
        OSError: the file can't be read to its end.
    """
    records = list(read_folder(path, reading) if path.is_dir() else _read_file(path, reading))
    if not records:
        finding = "no author/document.txt in it" if path.is_dir() else "the file is empty"
        raise DataError(f"{place(path)}: {finding}: write messages into it")
    return records


def _read_file(path: Path, reading: Reading) -> Iterator[Record]:
    kind = kind_of(path)
    noun = _NOUNS.get(kind.format, "line")
    for number, fields in _numbered(path, kind, reading):
        yield _record(fields, place(path, number, noun), f"{noun} {number}")


def _numbered(path: Path, kind: Kind, reading: Reading) -> Iterator[Numbered]:
    if kind.format is Format.PARQUET:
        return read_parquet(path, reading)
    return _READERS[kind.format](path, kind.encoding, reading)


def _record(fields: dict[str, Any], where: str, alone: str) -> Record:
    """Checks the fields of one message, and returns its record.

    ``where`` is the place of the message, for errors. If the fields name no document, the record
    gets the document ``alone``.

    Raises:
        DataError: a field is missing, blank or invalid.
    """
    for name in NEEDED:
        _check_field(name, fields, where)
    spelling, named = fields["author"], _document(fields.get("document"), where)
    try:
        text, author = parse_text(fields["text"], MAX_CHARACTERS), parsed_author(spelling)
    except InvalidText as error:
        raise DataError(f"{where}: {error}: {_REMEDY}") from error
    # The prefixes differ, so that the name of a line never equals the name of a document.
    return Record(text, author, f"= {named}" if named else alone, spelling, bool(named))


def _check_field(name: str, fields: dict[str, Any], where: str) -> None:
    value = fields.get(name)
    if value is None:
        if name in fields:
            raise DataError(f"{where}: field {name!r} is null: {_REMEDY}")
        raise DataError(f"{where}: {missing_field(name, list(fields))}")
    if not isinstance(value, str):
        raise DataError(f"{where}: field {name!r} is not a string: write it as a string")
    if not value.strip():
        raise DataError(f"{where}: field {name!r} is blank: {_REMEDY}")


def _document(value: object, where: str) -> str:
    """Returns the name of a document; an empty string if the field is missing or blank.

    Raises:
        DataError: the field is neither a string nor a number.
    """
    if value is None:
        return ""
    if not isinstance(value, str | int | float):
        raise DataError(f"{where}: field 'document' is neither a string nor a number: {_REMEDY}")
    return canonical(str(value))
