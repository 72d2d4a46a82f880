"""Parses the query string of a URL, and refuses unknown and repeated names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qsl

from celery_app.hints import unknown_name
from celery_app.settings import Settings
from celery_app.settings.switches import is_on
from tasks.errors import InvalidMessage

_NUMBER = re.compile(r"[0-9]{1,9}(\.[0-9]{0,9})?")


def parse_query(query: bytes, known: Sequence[str]) -> dict[str, str]:
    """Returns the parameters of a URL's query by name.

    Raises:
        InvalidMessage: a name comes twice, or is not in ``known``.
    """
    if not query:
        return {}
    found: dict[str, str] = {}
    for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
        if name not in known:
            raise InvalidMessage(f"the query has {unknown_name('name', name, known)}")
        if name in found:
            raise InvalidMessage(f"the query names {name} twice")
        found[name] = value
    return found


def wait_in(query: Mapping[str, str], settings: Settings, default: float) -> float:
    """Returns the seconds that the client is ready to wait: the query's ``wait``, or ``default``.

    Raises ``InvalidMessage`` if ``wait`` is no number, or is too large.
    """
    value = query.get("wait")
    if value is None:
        return default
    wait = float(value) if _NUMBER.fullmatch(value) else float("nan")
    if not 0 <= wait <= settings.wait_max_s:
        raise InvalidMessage(f"wait must be a number of seconds from 0 to {settings.wait_max_s:g}")
    return wait


def flag(query: Mapping[str, str], name: str) -> bool:
    """Returns whether a query switches ``name`` on, as in ``name=1``. Raises ``InvalidMessage``."""
    try:
        return is_on(query.get(name, "false"))
    except ValueError as error:
        raise InvalidMessage(f"{name} {error}") from None
