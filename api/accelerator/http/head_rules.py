"""Rules for the head of a request that a parser leaves to others (RFC 9110 and 9112).

Two readers of one request must not understand it differently: where a load balancer in front takes
the first of two fields and Byline the last, each sees another request.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import httptools

from api.accelerator.http.errors import ExpectationFailed, NotSupported, VersionNotSupported
from tasks.errors import BadRequest

#: Fields that say who asks, where, or how the body is to be read: at most once each.
SINGLE = frozenset(
    (
        *(b"authorization", b"content-encoding", b"content-length", b"content-type"),
        *(b"expect", b"host", b"origin", b"transfer-encoding", b"x-request-id"),
    )
)


def check(
    version: str, headers: Sequence[tuple[bytes, bytes]], fields: Mapping[bytes, bytes]
) -> None:
    """Check a head. ``fields`` are its headers by name, in lower case.

    Raises:
        BadRequest, ExpectationFailed, NotSupported, VersionNotSupported: it breaks a rule.
    """
    if len(fields) < len(headers):
        check_doubled(headers)
    if version != "1.1":
        _check_version(version, fields)
    elif b"host" not in fields:
        raise BadRequest("HTTP/1.1 requires a Host header")
    if b"transfer-encoding" in fields and fields[b"transfer-encoding"].lower() != b"chunked":
        raise NotSupported("the only Transfer-Encoding understood here is chunked")
    if b"expect" in fields and fields[b"expect"].lower() != b"100-continue":
        raise ExpectationFailed("the only Expect understood here is 100-continue")


def check_url(url: bytes) -> None:
    """Sees that a URL has a path.

    Raises:
        BadRequest: it has none.
    """
    if not url.startswith(b"/") and url and httptools.parse_url(url).path is None:
        raise BadRequest("the URL has no path")


def check_doubled(headers: Sequence[tuple[bytes, bytes]]) -> None:
    """See that no field that may come once comes twice.

    Raises:
        BadRequest: one does.
    """
    for name, times in Counter(name for name, _ in headers).items():
        if times > 1 and name in SINGLE:
            raise BadRequest(f"{name.decode().title()} comes {times} times; send it once")


def _check_version(version: str, fields: Mapping[bytes, bytes]) -> None:
    if version != "1.0":
        raise VersionNotSupported("use HTTP/1.1")
    if b"transfer-encoding" in fields:
        raise BadRequest("HTTP/1.0 has no Transfer-Encoding")
