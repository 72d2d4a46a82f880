"""What a client has posted: its query and its body, and whose key came with it."""

from __future__ import annotations

from typing import NamedTuple

from flask import g, request
from werkzeug.exceptions import HTTPException

from api.access.keys import ApiKey
from api.errors import too_large
from tasks.errors import BadRequest, WrongType


class PostedRequest(NamedTuple):
    """A request with a body, as the services take it."""

    query: bytes
    content_type: str
    body: bytes
    key: ApiKey | None
    #: May the caller wait for its answers? There may be no thread for that.
    may_wait: bool = True


def read_posted(max_body_bytes: int) -> PostedRequest:
    """Return the present request of Flask, with its body.

    Raises:
        WrongType: the body is compressed.
        TooLarge, RequestEntityTooLarge: it is larger than may be.
    """
    headers = request.headers
    check_encoding(headers.get("Content-Encoding", ""))
    try:
        body = request.get_data(cache=False)
    except HTTPException:
        raise
    except Exception as error:  # what a server raises where the client breaks a rule
        raise BadRequest(f"the body can't be read: {type(error).__name__}") from error
    if request.content_length is not None or len(body) <= max_body_bytes:
        g.body_is_read = True
    if len(body) > max_body_bytes:  # cut off by werkzeug, which says nothing where none was told
        raise too_large(max_body_bytes)
    return PostedRequest(request.query_string, headers.get("Content-Type", ""), body, g.key)


def check_encoding(content_encoding: str) -> None:
    """See that a body is sent as it is. Raises ``WrongType``."""
    if content_encoding.lower() not in ("", "identity"):
        raise WrongType("send the body as it is, with no Content-Encoding")
