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

from api.errors import problem

Scope = MutableMapping[str, Any]
Send = Callable[[dict[str, Any]], Awaitable[None]]
#: Status, headers and body.
Response = tuple[int, list[tuple[bytes, bytes]], bytes]

#: Views that work at the same time, which wait for Redis at most; and those that tell how Byline
#: is, which wait for nothing and nobody.
THREADS = 16
HEALTH_THREADS = 2
#: Requests that may wait for a thread.
WAITING = 512
_HEALTH = ("/healthz", "/readyz")
_FULL = problem("overloaded", f"{WAITING} requests wait already for a view")
_STOPS = problem("no_answer", "this process stops; the request may be sent again")
#: Methods whose body is read.
_WITH_BODY = ("POST", "PUT", "PATCH")


class FlaskBridge:
    """Answers ASGI requests as a Flask application does."""

    def __init__(self, app: Flask, max_body_bytes: int) -> None:
        self._app = app
        # A byte more: by that, Flask sees that a body is too large.
        self._most = max_body_bytes + 1
        self._threads = ThreadPoolExecutor(THREADS, "flask")
        self._health_threads = ThreadPoolExecutor(HEALTH_THREADS, "health")
        #: Requests that have a thread, or wait for one.
        self._present = 0

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
        status, headers, answer = await self._in_thread(scope, body)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    async def _in_thread(self, scope: Scope, body: bytes) -> Response:
        is_health = scope["path"] in _HEALTH
        if not is_health and self._present >= THREADS + WAITING:
            return _FULL.status, _FULL.asgi(), _FULL.body
        threads = self._health_threads if is_health else self._threads
        self._present += not is_health
        try:
            loop, environ = asyncio.get_running_loop(), _environ(scope, body)
            return await loop.run_in_executor(threads, self._answer, environ)
        except asyncio.CancelledError:  # the process stops, and has waited for long enough
            return _STOPS.status, _STOPS.asgi(), _STOPS.body
        finally:
            self._present -= not is_health

    def _answer(self, environ: dict[str, Any]) -> Response:
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
    given: dict[str, bytes] = {}
    for name, value in scope["headers"]:
        if b"_" in name:  # it would be taken for the same name with a hyphen
            continue
        key = name.decode("latin-1").lower()
        given[key] = b"%b,%b" % (given[key], value) if key in given else value
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
