"""The options of a request: its query parameters, priority and deadline."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from celery_app.settings import Settings
from tasks.errors import InvalidMessage

_NUMBER = re.compile(r"[0-9]{1,9}(\.[0-9]{0,9})?")


class Options(NamedTuple):
    """What a request asks for beside the attribution itself."""

    explain: bool
    #: The version that is to answer, and no other.
    model: str | None
    priority: int
    #: Unix time, in seconds.
    deadline: float | None
    #: The same as it was asked for: seconds from then on.
    limit: float | None
    #: Monotonic time until which the caller waits, in seconds.
    patience: float
    #: Is an answer after that worth nothing, because the deadline has passed by then?
    final: bool
    #: The name of the API key; where there are no keys, all are one.
    owner: str = ""


def wait_of(query: Mapping[str, str], settings: Settings, default: float | None = None) -> float:
    """Return for how many seconds the caller waits: by default ``settings.wait_s``.

    Raises ``InvalidMessage``.
    """
    given = query.get("wait")
    if given is None:
        return settings.wait_s if default is None else default
    wait = float(given) if _NUMBER.fullmatch(given) else float("nan")
    if not 0 <= wait <= settings.wait_max_s:
        raise InvalidMessage(f"wait must be a number of seconds from 0 to {settings.wait_max_s:g}")
    return wait


def flag(query: Mapping[str, str], name: str) -> bool:
    """Return whether the query says so. Raises ``InvalidMessage``."""
    given = query.get(name, "false")
    if given not in ("true", "false"):
        raise InvalidMessage(f"{name} must be true or false")
    return given == "true"
