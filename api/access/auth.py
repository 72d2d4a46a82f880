"""Checks ``Host``, ``Origin`` and ``Authorization`` to decide who may use the API."""

from __future__ import annotations

from api.access.keys import ApiKey
from api.access.reloading_keys import ReloadingKeys
from celery_app.settings import Settings
from monitoring.instruments.origins import check_for
from tasks.errors import BylineError, Unauthorized

_DETAILS = {
    "wrong_host": "Host is no name of this api; the setting BYLINE_HOSTS can add names",
    "foreign_origin": "Origin names another site; this api answers no pages of other sites",
}


class WrongSite(BylineError):
    """The header ``Host`` or ``Origin`` does not name this API, as in a DNS rebinding attack."""

    def __init__(self, code: str) -> None:
        super().__init__(_DETAILS[code])
        self.code = code


class Authentication:
    """Checks a request's ``Host``, ``Origin`` and ``Authorization`` headers."""

    def __init__(self, settings: Settings, keys: ReloadingKeys | None) -> None:
        """Prepares the checks. If ``keys`` is None, requests need no API key."""
        self._check = check_for(settings.api_host, settings.host_names, keys is None)
        self._keys = keys

    def check_origin(self, host: str | None, origin: str | None) -> None:
        """Checks that a request is for this API, and is not from a web page of another site.

        Raises:
            WrongSite: ``host`` is not a name of this API, or ``origin`` names another site.
        """
        if code := self._check(host, origin):
            raise WrongSite(code)

    def key_of(self, authorization: str) -> ApiKey | None:
        """Returns the API key of a request; ``None`` if the API needs no keys.

        Raises:
            Unauthorized: the request has no valid key.
        """
        if self._keys is None:
            return None
        key = self._keys.find(authorization)
        if key is None:
            raise Unauthorized("send an API key as Authorization: Bearer <key>")
        return key
