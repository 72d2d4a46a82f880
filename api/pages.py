"""Flask under an ASGI server, without a thread: what it serves here waits for nothing.

A thread for each request, of a few, could be kept by as many clients that read slowly.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from flask import Flask
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Response

Scope = MutableMapping[str, Any]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Pages:
    """An ASGI application: a Flask application whose views read no body and do not block."""

    def __init__(self, flask: Flask) -> None:
        self._flask = flask

    async def __call__(self, scope: Scope, receive: Any, send: Send) -> None:
        """Part of ASGI."""
        answer = Response.from_app(self._flask.wsgi_app, _environ(scope), buffered=True)
        headers = [
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in answer.headers.items()
        ]
        status, body = answer.status_code, answer.get_data()
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def _environ(scope: Scope) -> dict[str, Any]:
    """Return the request as WSGI has it, without a body."""
    headers = [
        (name.decode("latin-1"), value.decode("latin-1"))
        for name, value in scope["headers"]
        if name not in (b"content-length", b"transfer-encoding")
    ]
    return EnvironBuilder(
        path=scope["path"],
        query_string=scope["query_string"].decode("latin-1"),
        method=scope["method"],
        headers=headers,
    ).get_environ()
