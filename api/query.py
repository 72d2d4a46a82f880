"""The query of a URL: each name at most once, and none that the endpoint does not know."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from urllib.parse import parse_qsl

from tasks.errors import InvalidMessage

#: Characters of a name that are repeated to the client.
SHOWN = 40


def parse_query(query: bytes, known: Sequence[str]) -> dict[str, str]:
    """Return a query's values by their names.

    Raises:
        InvalidMessage: a name comes twice, or is not ``known``.
    """
    if not query:
        return {}
    found: dict[str, str] = {}
    for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
        if name not in known:
            raise InvalidMessage(_unknown(name, known))
        if name in found:
            raise InvalidMessage(f"the query names {name} twice")
        found[name] = value
    return found


def _unknown(name: str, known: Sequence[str]) -> str:
    """Return what is told of a name that an endpoint does not know."""
    shown = ascii(name if len(name) <= SHOWN else name[:SHOWN] + "…")
    close = difflib.get_close_matches(name[:SHOWN].lower(), known, 1)
    hint = f"; did you mean {close[0]}?" if close else ""
    return f"the query has an unknown name, {shown}{hint}"
