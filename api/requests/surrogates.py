"""Halves of surrogate pairs in JSON, as JavaScript's ``slice`` leaves them behind.

A document that holds one, such as ``"\\ud83d"``, is refused as a whole by every strict parser. Of
many messages only the one that holds it is to be refused.
"""

from __future__ import annotations

import re
from typing import NamedTuple

#: An escape within a string: a whole pair, half of one, or any other.
_ESCAPE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
    rb"|\\.",
    re.DOTALL,
)
#: Code points that are no characters, and that hardly a text holds.
_MARKS = range(0xFDD0, 0xFDF0)


class Marked(NamedTuple):
    """A document with a mark in the place of each half."""

    document: bytes
    #: The mark as it is escaped in the document, and as a parser reads it.
    escaped: bytes
    read: str


def mark_halves(document: bytes) -> Marked | None:
    """Return ``document`` with each half replaced by a mark that it did not hold; None: no half."""
    marks = (Marked(b"", b"\\u%04x" % point, chr(point)) for point in _MARKS)
    lower = document.lower()
    free = (m for m in marks if m.escaped not in lower and m.read.encode() not in document)
    mark = next(free, None)
    if mark is None:
        return None
    marked = _ESCAPE.sub(lambda found: mark.escaped if found[1] else found[0], document)
    return mark._replace(document=marked) if mark.escaped in marked else None
