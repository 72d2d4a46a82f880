"""A string class for URLs. It hides the password in a URL when the URL is printed."""

from __future__ import annotations

import re

_SCHEME = r"((?:\w+://)?)"
#: Groups: scheme, user with password, place (host, port, database), and query.
_URL = re.compile(
    _SCHEME + r"([^?#]*@)?((?:[\w.-]*|\[[\da-fA-F:.]*\])(?::\d{1,5})?(?:/\w*)?)([?#][^@]*)?"
)


class SecretURL(str):
    """A string that holds a URL. Error messages, logs and ``repr`` show only a part of the URL.

    The shown part has no user, password or parameter. Libraries that read the string get all
    characters. ``+`` and :meth:`reveal` give the whole URL.
    """

    __slots__ = ()

    def __new__(cls, url: str) -> SecretURL:
        """Makes a ``SecretURL`` from a string or from another ``SecretURL``."""
        return super().__new__(cls, str.__str__(url))

    def reveal(self) -> str:
        """Returns the whole URL, as a plain string."""
        return str.__str__(self)

    def __str__(self) -> str:
        """Returns the URL without any part that may be a password, even if the URL is invalid."""
        known = _URL.fullmatch(self)
        if known is None:
            return f"{re.match(_SCHEME, self)[0]}…"  # type: ignore[index]  # may match nothing
        scheme, user, place, query = known.groups("")
        return f"{scheme}{'…@' if user else ''}{place}{'?…' if query else ''}"

    def __repr__(self) -> str:
        """Returns the redacted URL in quotes."""
        return repr(str(self))

    def __format__(self, format_spec: str) -> str:
        """Formats the redacted URL as ``format_spec`` says."""
        return format(str(self), format_spec)
