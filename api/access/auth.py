"""Who may ask: by the names in ``Host`` and ``Origin``, and by the API key."""

from __future__ import annotations

from api.access.keys import ApiKey
from api.access.keys_file import KeysFile
from celery_app.settings import Settings
from monitoring.instruments.origins import check_for
from tasks.errors import BylineError, Unauthorized


class WrongHost(BylineError):
    """The request names a host that is not this one, as after DNS rebinding."""

    code = "wrong_host"


class ForeignOrigin(BylineError):
    """A page of another site sent the request."""

    code = "foreign_origin"


_REFUSALS = {
    "wrong_host": WrongHost(
        "Host has a name that this api does not know; BYLINE_HOSTS can add names"
    ),
    "foreign_origin": ForeignOrigin(
        "Origin names another site, and pages of other sites may not ask here"
    ),
}


class Authentication:
    """Checks a request's ``Host``, ``Origin`` and ``Authorization`` headers."""

    def __init__(self, settings: Settings, keys: KeysFile | None) -> None:
        """Without ``keys`` everybody may ask."""
        self._check = check_for(settings.api_host, settings.host_names, keys is None)
        self._keys = keys

    def check_origin(self, host: str | None, origin: str | None) -> None:
        """See that a request is meant for this api, and was not sent by a page of another site.

        Raises:
            WrongHost, ForeignOrigin: it is not, or it was.
        """
        if reason := self._check(host, origin):
            raise _REFUSALS[reason]

    def key_of(self, authorization: str) -> ApiKey | None:
        """Return whose key a request has; None where everybody may ask.

        Raises:
            Unauthorized: it has no valid key.
        """
        if self._keys is None:
            return None
        key = self._keys.find(authorization)
        if key is None:
            raise Unauthorized("send an API key as Authorization: Bearer <key>")
        return key
