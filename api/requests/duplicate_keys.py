"""Finds JSON objects that have a key twice: parsers disagree on which of the two values counts."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

#: The beginning of an escaped ASCII character, such as ``\u0061``.
_ASCII_ESCAPE = re.compile(rb"\\u00[0-7]")
#: Stands for an object that has a key twice.
_DUPLICATE = object()


def has_duplicate_key(document: bytes, keys: Sequence[bytes]) -> bool:
    """Returns whether the outermost object of a JSON document has a key twice.

    ``keys`` are all keys that the object may have, each in quotation marks.
    """
    # Most documents pass this fast check, and need no parser. An escape of an ASCII character might
    # hide a key. Escapes of other characters can't, because all keys are ASCII.
    if not _ASCII_ESCAPE.search(document) and max(map(document.count, keys)) < 2:
        return False
    parsed = json.loads(
        document.decode(errors="replace"),
        object_pairs_hook=_object,
        parse_int=bool,  # True for any number: Python refuses to convert one with too many digits
        parse_float=bool,
    )
    return parsed is _DUPLICATE


def _object(pairs: list[tuple[str, Any]]) -> object:
    return _DUPLICATE if len(dict(pairs)) < len(pairs) else None
