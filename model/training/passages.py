"""Cuts documents into messages of about the length of a paragraph."""

from __future__ import annotations

import re
from collections.abc import Iterator

#: Smallest length of a message that is cut from a document, in characters.
MIN_CHARACTERS = 200
#: Largest length of a message that is cut from a document, in characters.
MAX_CHARACTERS = 600

#: End of a sentence: a mark and closing quotes, followed by a character that may begin a sentence;
#: or a blank line. An abbreviation ends a sentence too early. This is harmless, because messages
#: are made of several sentences.
_END = re.compile(r"""(?<=[.!?])["')\]”’]*\s+(?=["'(\[“‘]?[A-Z0-9$])|\n\s*\n""")


def passages(text: str) -> Iterator[str]:
    """Cuts a document into messages of 200 to 600 characters.

    A message joins as many consecutive sentences as fit. White space becomes single spaces.
    Messages of less than 200 characters, and sentences of more than 600, are left out.
    """
    joined = ""
    for sentence in _sentences(text):
        longer = f"{joined} {sentence}" if joined else sentence
        if len(longer) <= MAX_CHARACTERS:
            joined = longer
            continue
        if len(joined) >= MIN_CHARACTERS:
            yield joined
        joined = sentence if len(sentence) <= MAX_CHARACTERS else ""
    if len(joined) >= MIN_CHARACTERS:
        yield joined


def _sentences(text: str) -> Iterator[str]:
    """Yields the sentences of ``text``, with white space reduced to single spaces."""
    start = 0
    for end in [match.end() for match in _END.finditer(text)] + [len(text)]:
        sentence = " ".join(text[start:end].split())
        if sentence:
            yield sentence
        start = end
