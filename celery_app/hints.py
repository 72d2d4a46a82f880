"""Error texts that repeat an unknown name, and guess which known name is meant."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence

#: Error texts repeat only this many characters of an unknown name, and only these characters are
#: compared with the known names.
MAX_SHOWN_CHARACTERS = 60


def nearest(name: str, known: Sequence[str]) -> str | None:
    """Returns the known name that is most like ``name``; ``None`` if no known name is close."""
    close = difflib.get_close_matches(name[:MAX_SHOWN_CHARACTERS], known, n=1)
    return close[0] if close else None


def did_you_mean(name: str, known: Sequence[str], shown: Callable[[str], str] = str) -> str:
    """Returns the end of an error text about an unknown name, such as ``; did you mean text?``.

    Returns an empty string if no known name is close. ``shown`` turns a known name into the form
    that users know.
    """
    close = nearest(name, known)
    return "" if close is None else f"; did you mean {shown(close)}?"


def printable(name: str) -> str:
    """Returns a client's text in a form for error texts: short, in ASCII, on one line."""
    start = name[:MAX_SHOWN_CHARACTERS]
    return ascii(start if start == name else f"{start}...")[1:-1]


def unknown_name(kind: str, name: str, known: Sequence[str]) -> str:
    """Returns an error text such as ``an unknown field, 'txt'; did you mean text?``.

    Here ``kind`` is "field", and ``name`` is "txt". The names in ``known`` must be in lower case.
    """
    return f"an unknown {kind}, '{printable(name)}'{did_you_mean(name.lower(), known)}"
