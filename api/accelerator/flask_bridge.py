"""Runs the Flask application under the accelerator's ASGI server, in a pool of threads.

A thread is busy only while a view runs: a client that sends or reads slowly occupies no thread.
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

#: Number of threads for views. A view waits only for Redis.
THREADS = 16
#: Number of threads for health checks, which never wait.
HEALTH_THREADS = 2
#: Largest number of requests that wait for a thread.
MAX_WAITING = 512
_HEALTH_PATHS = ("/healthz", "/readyz")
_OVERLOADED = problem("overloaded", f"{MAX_WAITING} requests wait for a thread already")
_STOPPING = problem("no_answer", "this process stops; the request may be sent again")
#: Methods of requests whose body the bridge reads.
_METHODS_WITH_BODY = ("POST", "PUT", "PATCH")


class FlaskBridge:
    """Answers ASGI requests with a Flask application."""

    def __init__(self, app: Flask, max_body_bytes: int) -> None:
        self._app = app
        # One byte past the limit shows Flask that a body is too large.
        self._max_read_bytes = max_body_bytes + 1
        self._threads = ThreadPoolExecutor(THREADS, "flask")
        self._health_threads = ThreadPoolExecutor(HEALTH_THREADS, "health")
        #: Requests that run in a thread or wait for a thread, without health checks.
        self._requests = 0

    async def handle(self, scope: Scope, receive: Any, send: Send, is_allowed: bool) -> None:
        """Passes one ASGI request to Flask, and sends Flask's response.

        ``is_allowed`` is False if Flask will refuse the request because of its headers. Then the
        bridge does not read the body.
        """
        request_body = b""
        if is_allowed and scope["method"] in _METHODS_WITH_BODY:
            read = await self._read(scope, receive)
            if read is None:
                return  # the client has disconnected
            request_body = read
        status, headers, body = await self._run_in_thread(scope, request_body)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _run_in_thread(self, scope: Scope, body: bytes) -> Response:
        is_health = scope["path"] in _HEALTH_PATHS
        if not is_health and self._requests >= THREADS + MAX_WAITING:
            return _OVERLOADED.status, _OVERLOADED.asgi_headers(), _OVERLOADED.body
        threads = self._health_threads if is_health else self._threads
        self._requests += not is_health
        try:
            loop, environ = asyncio.get_running_loop(), _environ(scope, body)
            return await loop.run_in_executor(threads, self._run_flask, environ)
        except asyncio.CancelledError:  # the time limit for stopping is over
            return _STOPPING.status, _STOPPING.asgi_headers(), _STOPPING.body
        finally:
            self._requests -= not is_health

    def _run_flask(self, environ: dict[str, Any]) -> Response:
        parts, status, wsgi_headers = run_wsgi_app(self._app.wsgi_app, environ, buffered=True)
        headers = [
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in wsgi_headers
        ]
        return int(status.partition(" ")[0]), headers, b"".join(parts)

    async def _read(self, scope: Scope, receive: Any) -> bytes | None:
        """Returns the request's body; None if the client has disconnected.

        Stops reading when the body exceeds the limit. Flask then refuses the request.
        """
        declared = int(dict(scope["headers"]).get(b"content-length", b"0"))
        if declared > self._max_read_bytes:
            return b""  # Flask refuses the request because of its declared length
        parts, size, more = [], 0, True
        while more and size < self._max_read_bytes:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            more = message.get("more_body", False)
        return b"".join(parts)


def _environ(scope: Scope, body: bytes) -> dict[str, Any]:
    """Returns an ASGI request as a WSGI environment (PEP 3333)."""
    fields: dict[str, bytes] = {}
    for name, value in scope["headers"]:
        if b"_" in name:  # in WSGI, the name with a hyphen has the same key
            continue
        key = name.decode("latin-1").lower()
        fields[key] = b"%b,%b" % (fields[key], value) if key in fields else value
    headers = {
        f"HTTP_{name.upper().replace('-', '_')}": value.decode("latin-1")
        for name, value in fields.items()
        if name not in ("content-length", "content-type", "transfer-encoding")
    }
    length = max(len(body), int(fields.get("content-length", b"0")))
    return {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": scope["path"].encode("utf-8", "replace").decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "CONTENT_TYPE": fields.get("content-type", b"").decode("latin-1"),
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
