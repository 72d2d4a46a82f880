"""Reads the messages of a JSON file: one object a line, or one array of objects."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from model.training.errors import DataError, place, quoted
from model.training.importers.fields import Numbered
from model.training.importers.records import Reading
from model.training.importers.textfile import MAX_LINE, Encoding, characters, lines

_ONE = 'write one object a line, such as {"text": "…", "author": "…"}'
_NO_SEPARATOR = re.compile(r"[^\s,]")


class _Doubled(Exception):
    """A JSON object has a field twice. The error's text is the field's name."""


def read_jsonl(path: Path, encoding: Encoding, reading: Reading) -> Iterator[Numbered]:
    """Yields the number and the JSON object of each line of a file. Skips blank lines.

    Raises:
        DataError: a line is not a JSON object. The error's text names the line.
    """
    for number, line in enumerate(lines(path, encoding, reading), 1):
        if line.strip():
            yield number, _strict_object(line.strip(), place(path, number))


def read_array(path: Path, encoding: Encoding, reading: Reading) -> Iterator[Numbered]:
    """Yields the number and the content of each object in a JSON array.

    Raises:
        DataError: an element is not a JSON object, or the array has no end. The error's text names
            the number of the element.
    """
    number, rest = 1, ""
    for text in _after_bracket(characters(path, encoding, reading)):
        rest, at = rest + text, 0
        while (element := _element(rest, at, place(path, number, "message"))) is not None:
            fields, at = element
            yield number, fields
            number += 1
        rest = rest[at:]
        if len(rest) > MAX_LINE:
            break
    _check_end(rest, place(path, number, "message"))


def _after_bracket(pieces: Iterator[str]) -> Iterator[str]:
    """Yields the pieces of an array's text, without the bracket at its beginning."""
    for text in pieces:
        if text.strip():
            yield text.lstrip()[1:]
            break
    yield from pieces


def _element(text: str, at: int, where: str) -> tuple[dict[str, Any], int] | None:
    """Returns the next object of an array from index ``at`` of ``text`` on, and its end's index.

    Returns None if the rest of ``text`` does not begin with a whole object.
    """
    start = _between(text, at)
    try:
        return _object(text, start, where)
    except json.JSONDecodeError:
        return None


def _between(text: str, at: int) -> int:
    """Returns the index of the first character from ``at`` on except commas and white space."""
    found = _NO_SEPARATOR.search(text, at)
    return found.start() if found else len(text)


def _check_end(rest: str, where: str) -> None:
    """Checks that ``rest``, the text after an array's last whole object, is the closing bracket.

    Raises:
        DataError: the end of the array is missing, text follows it, or an object is invalid.
    """
    rest = rest[_between(rest, 0) :]
    if not rest:
        raise DataError(f"{where}: the array has no end: the file is cut off, copy it again")
    if rest.strip() != "]":
        if rest.startswith("]"):
            raise DataError(f"{where}: text follows the end of the array: delete it")
        if len(rest) > MAX_LINE:
            raise DataError(f"{where}: it has more than {MAX_LINE:,} characters: make it shorter")
        _strict_object(rest, where)


def _strict_object(text: str, where: str) -> dict[str, Any]:
    """Returns the JSON object that ``text`` consists of.

    Raises:
        DataError: the text is not exactly one JSON object. The error's text gives the reason.
    """
    try:
        fields, end = _object(text, 0, where)
    except json.JSONDecodeError as error:
        raise DataError(f"{where}: {_finding(error)}: {_ONE}") from error
    if text[end:].strip():
        raise DataError(f"{where}: invalid JSON: more than one value (column {end + 1}): {_ONE}")
    return fields


def _finding(error: json.JSONDecodeError) -> str:
    return f"invalid JSON: {error.msg} (column {error.colno})"


def _object(text: str, at: int, where: str) -> tuple[dict[str, Any], int]:
    """Returns the JSON object that begins at index ``at`` of ``text``, and the index of its end.

    Raises:
        DataError: the value is no object, has a field twice, is nested too deeply, or has a number
            with too many digits.
        json.JSONDecodeError: no whole JSON value begins there.
    """
    try:
        fields, end = _DECODER.raw_decode(text, at)
    except json.JSONDecodeError:
        raise
    except _Doubled as error:
        raise DataError(f"{where}: field {error} comes twice: leave one of them out") from error
    except RecursionError as error:
        raise DataError(f"{where}: nested too deeply: {_ONE}") from error
    except ValueError as error:  # Python reads no number of more than 4,300 digits.
        raise DataError(f"{where}: a number has too many digits: write it as a string") from error
    if not isinstance(fields, dict):
        raise DataError(f"{where}: not a JSON object: {_ONE}")
    return fields, end


def _fields(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise _Doubled(quoted([name for name, n in Counter(k for k, _ in pairs).items() if n > 1]))
    return fields


_DECODER = json.JSONDecoder(object_pairs_hook=_fields)
