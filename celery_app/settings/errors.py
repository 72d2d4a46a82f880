"""What is said of settings that can't be used."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

from celery_app.settings.secret_url import SecretURL

PREFIX = "BYLINE_"


def unknown(field: str, known: Sequence[str]) -> str:
    """Return that there is no such field, and which one may be meant."""
    close = difflib.get_close_matches(field, known, n=1)
    hint = f"; did you mean {PREFIX}{close[0].upper()}?" if close else ""
    return f"{PREFIX}{field.upper()} is not a setting{hint}"


def in_words(error: str, values: Mapping[str, str]) -> str:
    """Return what msgspec says of the field, of the variable.

    msgspec ends its messages with the place, ```$.field```; people know the variable.
    """
    reason, _, place = error.partition(" - at `$.")
    field = place.rstrip("`")
    if field not in values:  # raised by __post_init__, already in words
        return reason
    reason = reason.removesuffix(", got `str`")  # everything in an environment is a string
    value = SecretURL(values[field]) if field.endswith("_url") else values[field]
    return f"{PREFIX}{field.upper()}={value!r}: {reason[0].lower()}{reason[1:]}"
