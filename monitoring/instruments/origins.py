"""Recognises requests that a web page of another site has sent to a server of Byline.

A browser on this machine lets any page send two kinds of requests to the loopback address:

- The page posts a form or a text. Then the request's ``Origin`` names the page's site.
- The site changes its own host name's address to 127.0.0.1 (DNS rebinding), and the page can read
  the responses too. Then the request's ``Host`` is the site's host name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from ipaddress import ip_address
from typing import Literal

#: The reason why a server refuses a request; empty if the server does not refuse it.
Reason = Literal["", "wrong_host", "foreign_origin"]
#: ``check(host, origin)`` takes the headers ``Host`` and ``Origin``; a missing header is None.
Check = Callable[[str | None, str | None], Reason]

#: Maximum number of pairs of ``Host`` and ``Origin`` whose result is cached. A server sees the same
#: few pairs all the time.
MAX_CACHED = 64

#: Host names that no site can have. In a container, the second name means the machine that runs the
#: container.
_RESERVED = {"localhost", "host.docker.internal"}
#: Matches an address or a host name, with or without a port.
_PLACE = re.compile(r"(?:\[([\da-f:.]+)\]|([a-z\d_.-]+?)\.?)(?::\d{1,5})?")


def check_for(address: str, names: Iterable[str] | None = None, open_to_all: bool = True) -> Check:
    """Returns a function that checks the headers ``Host`` and ``Origin`` of a request.

    The function returns the reason to refuse the request, or an empty text. ``names`` are the host
    names to allow besides ``localhost`` and IP addresses. The server listens on ``address``;
    ``open_to_all`` says that it asks for no API key. If ``names`` is None, the function refuses
    requests only if ``address`` is a loopback address and ``open_to_all`` is true.
    """
    # Any other server allows all requests, because its own host name may not be configured.
    if names is None and not (open_to_all and is_loopback(address)):
        return _take_all
    known = frozenset(name.lower() for name in names or ())

    @lru_cache(MAX_CACHED)
    def check(host: str | None, origin: str | None) -> Reason:
        if host is not None and not _is_ours(_name(host), known):
            return "wrong_host"
        if origin is None:
            return ""
        _, _, place = origin.lower().partition("://")
        # A load balancer may put its own name into `Host`. Then `Origin` still has one of `names`.
        own = place == (host or "").lower() or _name(place) in known - _RESERVED
        return "" if place and own else "foreign_origin"

    return check


def _take_all(_host: str | None, _origin: str | None) -> Reason:
    return ""


def is_loopback(address: str) -> bool:
    """Returns whether only this machine can reach a server that listens on ``address``."""
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def _is_ours(name: str, known: frozenset[str]) -> bool:
    """Returns whether a request may have the host name or address ``name`` in its header ``Host``.

    Allows reserved names (such as ``localhost``), names in ``known``, and all IP addresses.
    """
    if name in _RESERVED or name.endswith(".localhost") or name in known:
        return True
    try:
        ip_address(name)  # health checks of other programs use IP addresses
    except ValueError:
        return False
    return True


def _name(place: str) -> str:
    """Returns the host name or the address in ``place``, without the port.

    ``place`` is the value of ``Host``, or the value of ``Origin`` without the scheme. The result is
    empty if ``place`` has neither a host name nor an address.
    """
    found = _PLACE.fullmatch(place.lower())
    return (found[1] or found[2]) if found else ""
