"""The fields of a message in a data file, and the errors about them."""

from __future__ import annotations

from typing import Any

from model.training.errors import quoted

#: The fields that each message must have.
NEEDED = ("text", "author")
#: The fields that are read. ``document`` is optional.
KNOWN = (*NEEDED, "document")

#: The number of a message's line, row or place in the file, from 1, and the message's fields.
Numbered = tuple[int, dict[str, Any]]


def missing_field(name: str, found: list[str]) -> str:
    """Returns the text of an error: the missing field, the fields that were found, the remedy."""
    close = [other for other in found if other.strip().lower() == name]
    remedy = f"rename {quoted(close[:1])} to {name!r}" if close else "add it, or rename another"
    return f"missing field {name!r}; fields found: {quoted(found)}: {remedy}"
