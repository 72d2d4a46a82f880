"""What an endpoint answers, whoever puts it on the wire."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, NamedTuple

import msgspec
from flask import Response

_encode = msgspec.json.Encoder().encode

#: Status to the line that WSGI wants.
STATUS_LINES = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}


class Answer(NamedTuple):
    """A response with a JSON body."""

    body: bytes
    status: int = 200
    mimetype: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()

    def response(self) -> Response:
        """Return it as Flask takes it."""
        return Response(self.body, self.status, self.headers, self.mimetype)

    def wsgi(self) -> tuple[str, list[tuple[str, str]]]:
        """Return the status line and the headers, as ``start_response`` takes them."""
        return STATUS_LINES[self.status], [
            ("Content-Type", self.mimetype),
            ("Content-Length", str(len(self.body))),
            *self.headers,
        ]


def answer(value: Any, status: int = 200, *headers: tuple[str, str]) -> Answer:
    """Return ``value`` as an answer."""
    return Answer(_encode(value), status, headers=headers)
