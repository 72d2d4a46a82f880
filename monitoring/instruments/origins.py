"""Tells requests of other sites' pages from those that are meant for a server.

A page of any site runs in a browser on this machine, and the browser lets it send requests to the
loopback address. The page can do two things:

- It posts a form or a text. Then ``Origin`` names the page's site.
- Its site makes its own name lead to 127.0.0.1 (DNS rebinding), and the page reads the answers,
  too. Then ``Host`` has that name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from ipaddress import ip_address
from typing import Literal

#: Why a request is refused; empty: it is not.
Reason = Literal["", "wrong_host", "foreign_origin"]
#: ``check(host, origin)`` takes the two header fields; None where a request has none.
Check = Callable[[str | None, str | None], Reason]

#: Pairs of the two fields whose result is kept. A server sees a few pairs again and again.
KEPT = 64

#: Names that no site has. By the second one, containers call the machine that they run on.
_RESERVED = {"localhost", "host.docker.internal"}
#: An address or a name, and perhaps a port.
_PLACE = re.compile(r"(?:\[([\da-f:.]+)\]|([a-z\d_.-]+?)\.?)(?::\d{1,5})?")


def check_for(address: str, names: Iterable[str] | None = None, open_to_all: bool = True) -> Check:
    """Return the check for a server.

    ``address`` is what the server listens on, ``names`` are those under which it may be asked
    besides ``localhost`` and addresses, ``open_to_all`` says whether it asks for no key.

    Without ``names`` only a server on the loopback address that asks for no key refuses anything:
    any other one may have a name that nobody has told it.
    """
    if names is None and not (open_to_all and is_loopback(address)):
        return _take_all
    known = frozenset(name.lower() for name in names or ())

    @lru_cache(KEPT)
    def check(host: str | None, origin: str | None) -> Reason:
        if host is not None and not _is_ours(_name(host), known):
            return "wrong_host"
        if origin is None:
            return ""
        _, _, place = origin.lower().partition("://")
        # A load balancer may put its own name into `Host`; the page then has one of `names`.
        own = place == (host or "").lower() or _name(place) in known - _RESERVED
        return "" if place and own else "foreign_origin"

    return check


def _take_all(_host: str | None, _origin: str | None) -> Reason:
    return ""


def is_loopback(address: str) -> bool:
    """Return whether only this machine reaches a server that listens on an address."""
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def _is_ours(name: str, known: frozenset[str]) -> bool:
    """Return whether no other site can have a name: health checks of others use addresses."""
    if name in _RESERVED or name.endswith(".localhost") or name in known:
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _name(place: str) -> str:
    """Return the name or address of a place, without its port; empty: it can't be read."""
    found = _PLACE.fullmatch(place.lower())
    return (found[1] or found[2]) if found else ""
