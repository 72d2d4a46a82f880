"""JSON objects in which no key stands twice: which of the two counts, parsers do not agree on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

#: What an object that names a key twice is read as.
_DOUBLED = object()


def has_doubled_key(document: bytes, keys: Sequence[bytes]) -> bool:
    """Return whether the object that ``document`` is names a key twice; not those within it.

    ``keys``, in quotes, are all that it may have. A quote within a string is escaped, so that such
    a token is a key, or a string that reads as one: seen once, or never, it does not stand twice,
    unless its letters are escaped. Few documents are looked at more closely than that.
    """
    if b"\\u" not in document and all(document.count(key) < 2 for key in keys):
        return False
    read = json.loads(
        document.decode(errors="replace"),
        object_pairs_hook=_object,
        parse_int=_skip,
        parse_float=_skip,
    )
    return read is _DOUBLED


def _object(pairs: list[tuple[str, Any]]) -> object:
    return _DOUBLED if len(dict(pairs)) < len(pairs) else None


def _skip(number: str) -> None:
    """Read no number: one may have more digits than Python converts."""
