"""Checks request heads against rules of RFC 9110 and 9112 that the parser does not check.

Without these checks, a load balancer and Byline might understand a request differently, for example
a request with two ``Host`` fields.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import httptools

from api.accelerator.http.errors import ExpectationFailed, NotSupported, VersionNotSupported
from tasks.errors import BadRequest

#: Header fields that a request may have only once. They describe the client, server or body.
SINGLE = frozenset(
    (
        *(b"authorization", b"content-encoding", b"content-length", b"content-type"),
        *(b"expect", b"host", b"origin", b"transfer-encoding", b"x-request-id"),
    )
)


def check(
    version: str, headers: Sequence[tuple[bytes, bytes]], fields: Mapping[bytes, bytes]
) -> None:
    """Checks an HTTP version and headers. ``fields`` is ``dict(headers)``. Names are in lower case.

    Raises:
        BadRequest, ExpectationFailed, NotSupported, VersionNotSupported: the head breaks a rule.
    """
    if len(fields) < len(headers):
        check_duplicates(headers)
    if version != "1.1":
        _check_version(version, fields)
    elif b"host" not in fields:
        raise BadRequest("HTTP/1.1 requires a Host header")
    if b"transfer-encoding" in fields and fields[b"transfer-encoding"].lower() != b"chunked":
        raise NotSupported("the only Transfer-Encoding understood here is chunked")
    if b"expect" in fields and fields[b"expect"].lower() != b"100-continue":
        raise ExpectationFailed("the only Expect understood here is 100-continue")


def check_url(url: bytes) -> None:
    """Checks that a URL has a path.

    Raises:
        BadRequest: the URL has no path.
    """
    if not url.startswith(b"/") and url and httptools.parse_url(url).path is None:
        raise BadRequest("the URL has no path")


def check_duplicates(headers: Sequence[tuple[bytes, bytes]]) -> None:
    """Checks that a request has each field of :data:`SINGLE`, such as ``host``, at most once.

    Raises:
        BadRequest: the request has one of these header fields twice.
    """
    for name, times in Counter(name for name, _ in headers).items():
        if times > 1 and name in SINGLE:
            raise BadRequest(f"{name.decode().title()} comes {times} times; send it once")


def _check_version(version: str, fields: Mapping[bytes, bytes]) -> None:
    if version != "1.0":
        raise VersionNotSupported("use HTTP/1.1")
    if b"transfer-encoding" in fields:
        raise BadRequest("HTTP/1.0 has no Transfer-Encoding")
