"""Flask under the accelerator's server: each request in a thread, of a few.

A thread is kept for as long as a view works: a client that sends or reads slowly keeps none.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any

from flask import Flask
from werkzeug.test import run_wsgi_app

Scope = MutableMapping[str, Any]
Send = Callable[[dict[str, Any]], Awaitable[None]]

#: Views that work at the same time. They wait for Redis at most.
THREADS = 16
#: Methods whose body is read.
_WITH_BODY = ("POST", "PUT", "PATCH")


class FlaskBridge:
    """Answers ASGI requests as a Flask application does."""

    def __init__(self, app: Flask, max_body_bytes: int) -> None:
        self._app = app
        # A byte more: by that, Flask sees that a body is too large.
        self._most = max_body_bytes + 1
        self._threads = ThreadPoolExecutor(THREADS, "flask")

    async def answer(self, scope: Scope, receive: Any, send: Send, may_post: bool) -> None:
        """Answer a request, as an ASGI application does.

        Without ``may_post``, Flask refuses what is posted, and no body is read for it.
        """
        body = b""
        if may_post and scope["method"] in _WITH_BODY:
            read = await self._read(scope, receive)
            if read is None:
                return  # the client has gone
            body = read
        loop = asyncio.get_running_loop()
        status, headers, answer = await loop.run_in_executor(
            self._threads, self._answer, _environ(scope, body)
        )
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    def _answer(self, environ: dict[str, Any]) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        parts, status, given = run_wsgi_app(self._app.wsgi_app, environ, buffered=True)
        headers = [
            (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in given
        ]
        return int(status.partition(" ")[0]), headers, b"".join(parts)

    async def _read(self, scope: Scope, receive: Any) -> bytes | None:
        """Return the body, cut off where it is too large; None: the client has gone."""
        told = int(dict(scope["headers"]).get(b"content-length", b"0"))
        if told > self._most:
            return b""  # Flask refuses it by its length
        parts, size, more = [], 0, True
        while more and size < self._most:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            more = message.get("more_body", False)
        return b"".join(parts)


def _environ(scope: Scope, body: bytes) -> dict[str, Any]:
    """Return the request as WSGI has it (PEP 3333). The path is taken as it is."""
    given = {name.decode("latin-1").lower(): value for name, value in scope["headers"]}
    headers = {
        f"HTTP_{name.upper().replace('-', '_')}": value.decode("latin-1")
        for name, value in given.items()
        if name not in ("content-length", "content-type", "transfer-encoding")
    }
    length = max(len(body), int(given.get("content-length", b"0")))
    return {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": scope["path"].encode("utf-8", "replace").decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "CONTENT_TYPE": given.get("content-type", b"").decode("latin-1"),
        "CONTENT_LENGTH": str(length),
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        **headers,
    }
