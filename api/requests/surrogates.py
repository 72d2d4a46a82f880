r"""Replaces lone surrogates in JSON (half characters, such as ``"\ud83d"``) with marks.

JavaScript's ``slice`` may cut a character in half. A strict parser then refuses the whole document.
With marks, Byline refuses only the messages that have a mark.
"""

from __future__ import annotations

import re
from typing import NamedTuple

#: An escape within a string: a surrogate pair, a lone surrogate (group 1), or any other escape.
_ESCAPE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
    rb"|\\.",
    re.DOTALL,
)
#: The characters to choose a mark from: Unicode noncharacters, which hardly any text holds.
_MARKS = range(0xFDD0, 0xFDF0)


class MarkedDocument(NamedTuple):
    """A JSON document with a mark in the place of each lone surrogate."""

    document: bytes
    #: The mark as the document has it: a JSON escape.
    escaped: bytes
    #: The mark as a parser returns it.
    character: str


def mark_lone_surrogates(document: bytes) -> MarkedDocument | None:
    """Replaces each lone surrogate in a JSON document with a mark, a character not in the document.

    Returns ``None`` if the document has no lone surrogate, or if it already holds every character
    that could be the mark.
    """
    marks = (MarkedDocument(b"", b"\\u%04x" % point, chr(point)) for point in _MARKS)
    lower = document.lower()
    unused = (m for m in marks if m.escaped not in lower and m.character.encode() not in document)
    mark = next(unused, None)
    if mark is None:
        return None
    marked = _ESCAPE.sub(lambda found: mark.escaped if found[1] else found[0], document)
    return mark._replace(document=marked) if mark.escaped in marked else None
