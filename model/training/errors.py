"""The error for unusable training data, and functions that write parts of the error's text.

The text is one line: the place, the finding and the remedy.
"""

from __future__ import annotations

from pathlib import Path

#: Largest number of characters of a quoted name in an error's text.
MAX_QUOTED = 40


class DataError(ValueError):
    """The data can't be used for training. The error's text tells the user what is wrong."""


def place(path: Path, number: int | None = None, noun: str = "line") -> str:
    """Returns the place of an error, such as ``messages.csv, line 3``, in printable characters."""
    name = printable(str(path))
    return name if number is None else f"{name}, {noun} {number}"


def printable(text: str) -> str:
    r"""Returns a text in which each control character is an escape, such as ``\x1b``."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def quoted(names: list[str]) -> str:
    """Returns one text with the first ten names, each in quotes.

    Each name is cut to ``MAX_QUOTED`` characters.
    """
    shown = [repr(n if len(n) <= MAX_QUOTED else n[: MAX_QUOTED - 1] + "…") for n in names[:10]]
    return ", ".join(shown + ["…"] * (len(names) > 10))
