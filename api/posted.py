"""What a client has posted: its query and its body, and whose key came with it."""

from __future__ import annotations

from typing import NamedTuple

from flask import g, request

from api.errors import WrongType, too_large
from api.keys import Key


class Posted(NamedTuple):
    """A request with a body, as the services take it."""

    query: bytes
    content_type: str
    body: bytes
    key: Key | None


def read_posted(max_body_bytes: int) -> Posted:
    """Return the present request of Flask, with its body.

    Raises:
        WrongType: the body is compressed.
        TooLarge, RequestEntityTooLarge: it is larger than may be.
    """
    headers = request.headers
    check_encoding(headers.get("Content-Encoding", ""))
    body = request.get_data(cache=False)
    if len(body) > max_body_bytes:  # cut off by werkzeug, which says nothing where none was told
        raise too_large(max_body_bytes)
    return Posted(request.query_string, headers.get("Content-Type", ""), body, g.key)


def check_encoding(content_encoding: str) -> None:
    """See that a body is sent as it is. Raises ``WrongType``."""
    if content_encoding.lower() not in ("", "identity"):
        raise WrongType("send the body as it is, with no Content-Encoding")
