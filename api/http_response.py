"""An endpoint's answer: status, headers and body, for Flask and for ASGI alike."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
from flask import Response

_encode = msgspec.json.Encoder().encode
#: An answer is its asker's: not for others on the way to keep, nor for a browser to guess at.
_PRIVATE = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))


class HttpResponse(NamedTuple):
    """A response with a JSON body."""

    body: bytes
    status: int = 200
    mimetype: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
    #: The status as requests are counted by, where that is another.
    counted: str = ""
    #: The id of the request, where Flask does not add it.
    request_id: str = ""

    def response(self) -> Response:
        """Return it as Flask takes it."""
        response = Response(self.body, self.status, self.headers, self.mimetype)
        response.headers.extend((n.decode(), v.decode()) for n, v in _PRIVATE)
        response.counted = self.counted  # type: ignore[attr-defined]
        return response

    def asgi(self) -> list[tuple[bytes, bytes]]:
        """Return the headers as ASGI takes them."""
        return [
            (b"content-type", self.mimetype.encode()),
            (b"content-length", b"%d" % len(self.body)),
            *_PRIVATE,
            *((name.lower().encode(), value.encode()) for name, value in self.headers),
            *([(b"x-request-id", self.request_id.encode())] if self.request_id else []),
        ]


def json_response(value: Any, status: int = 200, *headers: tuple[str, str]) -> HttpResponse:
    """Return ``value`` as an answer."""
    return HttpResponse(_encode(value), status, headers=headers)
