"""Refuses requests that another site's page may have sent, see :mod:`monitoring.origins`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from api.answers import Answer
from api.errors import problem
from celery_app.settings import Settings
from monitoring.origins import check_for

#: Returns the answer to a request with these headers; None: the request may go on.
Refuse = Callable[[Mapping[bytes, bytes]], Answer | None]

_REFUSALS = {
    "wrong_host": problem(
        "wrong_host", "Host has a name that this api does not know; BYLINE_HOSTS can add names"
    ),
    "foreign_origin": problem(
        "foreign_origin", "Origin names another site, and pages of other sites may not ask here"
    ),
}


def refuse_for(settings: Settings) -> Refuse:
    """Return what refuses requests to an api with these settings, whatever they ask for."""
    check = check_for(settings.api_host, settings.host_names, settings.keys_file is None)

    def refuse(headers: Mapping[bytes, bytes]) -> Answer | None:
        reason = check(_text(headers.get(b"host")), _text(headers.get(b"origin")))
        return _REFUSALS[reason] if reason else None

    return refuse


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("latin-1")
