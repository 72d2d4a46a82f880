"""Flask under an ASGI server, without a thread: what it serves here waits for nothing.

A thread for each request, of a few, could be kept by as many clients that read slowly.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, MutableMapping
from io import BytesIO
from typing import Any

from flask import Flask
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
    """Return the request as WSGI has it (PEP 3333), without a body. The path is taken as it is."""
    headers = {
        f"HTTP_{name.decode('latin-1').upper().replace('-', '_')}": value.decode("latin-1")
        for name, value in scope["headers"]
        if name not in (b"content-length", b"content-type", b"transfer-encoding")
    }
    return {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": scope["path"].encode("utf-8", "replace").decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        **headers,
    }
