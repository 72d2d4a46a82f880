"""Reads a POST request from Flask into a :class:`PostedRequest` for the services."""

from __future__ import annotations

from typing import NamedTuple

from flask import g, request
from werkzeug.exceptions import HTTPException

from api.access.keys import ApiKey
from api.errors import too_large
from tasks.errors import BadRequest, WrongType


class PostedRequest(NamedTuple):
    """A POST request: its query, content type and body, and the client's API key."""

    query: bytes
    content_type: str
    body: bytes
    key: ApiKey | None
    #: False if too many threads wait for attributions already.
    may_wait: bool = True


def read_posted(max_body_bytes: int) -> PostedRequest:
    """Returns Flask's current request, with its body.

    Raises:
        WrongType: the body is compressed.
        TooLarge, RequestEntityTooLarge: the body has more than ``max_body_bytes`` bytes.
        BadRequest: the body can't be read, because the client breaks a rule of HTTP.
    """
    headers = request.headers
    check_encoding(headers.get("Content-Encoding", ""))
    try:
        body = request.get_data(cache=False)
    except HTTPException:
        raise
    except Exception as error:  # each server raises its own errors
        raise BadRequest(f"the body can't be read: {type(error).__name__}") from error
    if request.content_length is not None or len(body) <= max_body_bytes:
        g.body_is_read = True
    if len(body) > max_body_bytes:  # Werkzeug truncates a body of unknown length
        raise too_large(max_body_bytes)
    return PostedRequest(request.query_string, headers.get("Content-Type", ""), body, g.key)


def check_encoding(content_encoding: str) -> None:
    """Checks a body's ``Content-Encoding``. Raises ``WrongType`` if the body is compressed."""
    if content_encoding.lower() not in ("", "identity"):
        raise WrongType("send the body uncompressed, without Content-Encoding")
