"""Finds lone surrogates in JSON, such as ``"\\ud83d"``, half of an emoji.

JavaScript's ``slice`` may cut a character into two such halves. A strict parser refuses the whole
document. Byline replaces lone surrogates with a mark before it parses many messages, so that only
the messages that hold one fail.
"""

from __future__ import annotations

import re
from typing import NamedTuple

#: An escape within a string: a surrogate pair, a lone surrogate (group 1), or any other.
_ESCAPE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
    rb"|\\.",
    re.DOTALL,
)
#: Unicode noncharacters: hardly any text holds one.
_MARKS = range(0xFDD0, 0xFDF0)


class MarkedDocument(NamedTuple):
    """A JSON document with a mark in the place of each lone surrogate."""

    document: bytes
    #: The mark as an escape in the document.
    escaped: bytes
    #: The mark as a parser returns it.
    character: str


def mark_lone_surrogates(document: bytes) -> MarkedDocument | None:
    """Returns the document with a mark in the place of each lone surrogate, or ``None``.

    The mark is a character that the document does not hold. ``None``: there is nothing to mark.
    """
    marks = (MarkedDocument(b"", b"\\u%04x" % point, chr(point)) for point in _MARKS)
    lower = document.lower()
    unused = (m for m in marks if m.escaped not in lower and m.character.encode() not in document)
    mark = next(unused, None)
    if mark is None:
        return None
    marked = _ESCAPE.sub(lambda found: mark.escaped if found[1] else found[0], document)
    return mark._replace(document=marked) if mark.escaped in marked else None
