"""What is said of settings that can't be used."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence

PREFIX = "BYLINE_"
_SCHEME = r"((?:\w+://)?)"
#: Scheme, user, place and query.
_URL = re.compile(
    _SCHEME + r"([^?#]*@)?((?:[\w.-]*|\[[\da-fA-F:.]*\])(?::\d{1,5})?(?:/\w*)?)([?#][^@]*)?"
)


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
    value = redacted(values[field]) if field.endswith("_url") else values[field]
    return f"{PREFIX}{field.upper()}={value!r}: {reason[0].lower()}{reason[1:]}"


def redacted(url: str) -> str:
    """Return a URL, or what was meant as one, without what may be a password in it."""
    known = _URL.fullmatch(url)
    if known is None:
        return f"{re.match(_SCHEME, url)[0]}…"  # type: ignore[index]  # may match nothing
    scheme, user, place, query = known.groups("")
    return f"{scheme}{'…@' if user else ''}{place}{'?…' if query else ''}"
