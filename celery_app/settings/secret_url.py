"""A URL that may hold a password, and shows itself without it."""

from __future__ import annotations

import re

_SCHEME = r"((?:\w+://)?)"
#: Scheme, user, place and query.
_URL = re.compile(
    _SCHEME + r"([^?#]*@)?((?:[\w.-]*|\[[\da-fA-F:.]*\])(?::\d{1,5})?(?:/\w*)?)([?#][^@]*)?"
)


class SecretURL(str):
    """The URL itself to those who connect with it; in messages, logs and ``repr`` a redacted one.

    Libraries read its characters. Whoever prints or formats it gets no user, password or
    parameter of it. To put the whole into a longer string, use ``+`` or :meth:`reveal`.
    """

    __slots__ = ()

    def __new__(cls, url: str) -> SecretURL:
        """Return the URL, of which ``url`` holds the characters; it may be one already."""
        return super().__new__(cls, str.__str__(url))

    def reveal(self) -> str:
        """Return the whole URL, as a plain string."""
        return str.__str__(self)

    def __str__(self) -> str:
        """Return the URL without what may be a password in it, also where it is no URL at all."""
        known = _URL.fullmatch(self)
        if known is None:
            return f"{re.match(_SCHEME, self)[0]}…"  # type: ignore[index]  # may match nothing
        scheme, user, place, query = known.groups("")
        return f"{scheme}{'…@' if user else ''}{place}{'?…' if query else ''}"

    def __repr__(self) -> str:
        """Return what ``str`` returns, quoted."""
        return repr(str(self))

    def __format__(self, format_spec: str) -> str:
        """Return what ``str`` returns, formatted."""
        return format(str(self), format_spec)
