"""An HTTP response with a JSON body, for both Flask and ASGI."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
from flask import Response

_encode = msgspec.json.Encoder().encode
#: Headers of every response. They forbid caching, and forbid browsers to guess the type.
_PRIVATE = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))


class HttpResponse(NamedTuple):
    """Status, headers and body of an HTTP response."""

    body: bytes
    status: int = 200
    mimetype: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
    #: The status in the request metrics, if it differs from ``status``.
    metrics_status: str = ""
    #: The request's id for ``X-Request-ID``; empty where Flask adds the header.
    request_id: str = ""

    def to_flask(self) -> Response:
        """Returns this response as a Flask response."""
        response = Response(self.body, self.status, self.headers, self.mimetype)
        response.headers.extend((n.decode(), v.decode()) for n, v in _PRIVATE)
        response.metrics_status = self.metrics_status  # type: ignore[attr-defined]
        return response

    def asgi_headers(self) -> list[tuple[bytes, bytes]]:
        """Returns the headers in ASGI's form: names and values as bytes, names in lower case."""
        return [
            (b"content-type", self.mimetype.encode()),
            (b"content-length", b"%d" % len(self.body)),
            *_PRIVATE,
            *((name.lower().encode(), value.encode()) for name, value in self.headers),
            *([(b"x-request-id", self.request_id.encode())] if self.request_id else []),
        ]


def json_response(value: Any, status: int = 200, *headers: tuple[str, str]) -> HttpResponse:
    """Returns a response with ``value`` as its JSON body."""
    return HttpResponse(_encode(value), status, headers=headers)
