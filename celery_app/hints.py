"""Error texts that repeat an unknown name, and guess which known name is meant."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence

#: Largest number of characters of a client's name that an error text repeats, or a guess compares.
MAX_SHOWN_CHARACTERS = 60


def nearest(name: str, known: Sequence[str]) -> str | None:
    """Returns the known name that is most like ``name``; ``None`` if no known name is close."""
    close = difflib.get_close_matches(name[:MAX_SHOWN_CHARACTERS], known, n=1)
    return close[0] if close else None


def did_you_mean(name: str, known: Sequence[str], shown: Callable[[str], str] = str) -> str:
    """Returns the end of an error text about an unknown name: which known name may be meant.

    ``shown`` turns the known name into the form that users know. Empty if no known name is close.
    """
    close = nearest(name, known)
    return "" if close is None else f"; did you mean {shown(close)}?"


def printable(name: str) -> str:
    """Returns a client's text for an error text: shortened, and in ASCII without line breaks."""
    start = name[:MAX_SHOWN_CHARACTERS]
    return ascii(start if start == name else f"{start}...")[1:-1]


def unknown_name(kind: str, name: str, known: Sequence[str]) -> str:
    """Returns an error text for a client's unknown name: ``an unknown field, 'txt'``, and a guess.

    The known names are in lower case.
    """
    return f"an unknown {kind}, '{printable(name)}'{did_you_mean(name.lower(), known)}"
