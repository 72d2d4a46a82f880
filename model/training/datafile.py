"""Reads labelled messages from a user's .jsonl or .csv file. An error names the faulty line."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from model.canonical import InvalidText, canonical, parse_author, parse_text
from model.training.errors import DataError, place
from model.training.filekind import check_kind
from model.training.readers import NEEDED, missing_field, read_csv, read_jsonl

#: Largest number of characters of a text.
MAX_CHARACTERS = 2**20
#: What to do about a line that can't be used.
_REMEDY = "correct the line or delete it"
_parsed_author = lru_cache(10_000)(parse_author)


class Record(NamedTuple):
    """A text, its author, and the document that the text is part of, in their canonical forms."""

    text: str
    author: str
    #: Name of the document, which differs from the names of the author's other documents.
    document: str
    #: The author's name, as the file spells it.
    spelling: str = ""
    #: Whether the file names the document. If not, the record is a document of its own.
    has_document: bool = True


def read_records(path: Path) -> list[Record]:
    """Returns the records of a .jsonl or .csv file, each with the fields text, author and document.

    A record without the optional field ``document`` is a document of its own. Texts and names get
    the same canonical form as in serving.

    Raises:
        DataError: the file or a line can't be used. The error's text says why, and where.
    """
    read = read_jsonl if check_kind(path) == ".jsonl" else read_csv
    try:
        records = [_record(line, fields, place(path, line)) for line, fields in read(path)]
    except UnicodeDecodeError as error:
        raise DataError(
            f"{place(path, _undecodable_line(path))}: not valid UTF-8: convert the file, for "
            "example with iconv -f WINDOWS-1252 -t UTF-8 OLD > NEW"
        ) from error
    except OSError as error:
        raise DataError(f"{place(path)}: {error.strerror}: read the file elsewhere") from error
    if not records:
        raise DataError(f"{place(path)}: the file is empty: write messages into it")
    return records


def _undecodable_line(path: Path) -> int | None:
    """Returns the number of the first line that is not UTF-8."""
    with path.open("rb") as file:
        for line, row in enumerate(file, 1):
            try:
                row.decode()
            except UnicodeDecodeError:
                return line
    return None


def _record(line: int, fields: dict[str, Any], where: str) -> Record:
    """Returns the record that the fields of a line make up.

    Raises:
        DataError: a field is missing, blank or invalid.
    """
    for name in NEEDED:
        _check_field(name, fields, where)
    spelling, named = fields["author"], _document(fields.get("document"), where)
    try:
        text, author = parse_text(fields["text"], MAX_CHARACTERS), _parsed_author(spelling)
    except InvalidText as error:
        raise DataError(f"{where}: {error}: {_REMEDY}") from error
    # The prefixes differ, so that the name of a line never equals the name of a document.
    document = f"= {named}" if named else f"line {line}"
    return Record(text, author, document, spelling, bool(named))


def _check_field(name: str, fields: dict[str, Any], where: str) -> None:
    value = fields.get(name)
    if value is None:
        if name in fields:
            raise DataError(f"{where}: field {name!r} is null: {_REMEDY}")
        raise DataError(f"{where}: {missing_field(name, list(fields))}")
    if not isinstance(value, str):
        raise DataError(f"{where}: field {name!r} is not a string: put it into double quotes")
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
