"""Finds JSON objects that have a key twice: parsers disagree on which of the two values counts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

#: Stands for an object that has a key twice.
_DUPLICATE = object()


def has_duplicate_key(document: bytes, keys: Sequence[bytes]) -> bool:
    """Returns whether the outermost object of a JSON document has a key twice.

    ``keys`` are all keys that the object may have, each in quotation marks.
    """
    # Most documents pass this fast check, and need no parser. A Unicode escape might hide a key.
    if b"\\u" not in document and all(document.count(key) < 2 for key in keys):
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
