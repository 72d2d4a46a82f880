"""Handles requests for attributions in ASGI, and passes all other requests to Flask.

An attribution says who wrote a message. ASGI has two advantages for these requests: a waiting
request occupies no thread, and Flask's routing and objects cost no CPU time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from flask import Flask

from api.accelerator.flask_bridge import FlaskBridge, Scope, Send
from api.accelerator.request_counts import RequestCounts
from api.accelerator.response_waiter import handle_fast
from api.access.auth import Authentication
from api.access.keys import ApiKey
from api.app import create_app
from api.errors import problem, problem_of, too_large
from api.http_response import HttpResponse
from api.requests.posted_request import PostedRequest, check_encoding
from api.requests.request_ids import request_id_of
from api.runtime import Runtime
from api.service import PATH
from celery_app import garbage
from celery_app.client.run_forever import run_forever
from monitoring.instruments.request_ids import about, set_present
from tasks.errors import BylineError

Receive = Callable[[], Awaitable[dict[str, Any]]]

#: Seconds between two updates of the request metrics.
COUNT_S = 1.0
#: Start of the path of an attribution.
_ID_PREFIX = f"{PATH}/"
#: The route of an attribution in the request metrics.
_ID_ROUTE = f"{PATH}/{{id}}"
#: Status in the metrics if the client disconnects before it has sent its whole request. nginx uses
#: 499, too.
_CLIENT_CLOSED = 499


class Disconnected(Exception):
    """The client closed the connection before it had sent its whole request."""


class AsgiApp:
    """The accelerator: an ASGI application that answers requests for attributions without Flask.

    Each process of the API has one instance.
    """

    def __init__(self, runtime: Runtime, app: Flask) -> None:
        """Builds the application. ``app`` handles all requests that are not for attributions."""
        self._runtime = runtime
        self._authentication = Authentication(runtime.settings, runtime.keys)
        self._max_body_bytes = runtime.settings.max_body_bytes
        self._flask = FlaskBridge(app, self._max_body_bytes)
        self._counts = RequestCounts()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one ASGI scope: an HTTP request, or the start and the stop of the server."""
        if scope["type"] == "lifespan":
            await self._run_lifespan(receive, send)
            return
        start, path, method = time.perf_counter(), scope["path"], scope["method"]
        path = path.removesuffix("/")  # Flask's routes ignore this slash, too
        if path == PATH and method == "POST":
            route, coroutine = PATH, self._create(scope, receive)
        elif method in ("GET", "HEAD") and _has_id(path):
            route, coroutine = _ID_ROUTE, self._read(scope)
        else:
            await self._flask.handle(scope, receive, send, self._is_allowed(scope))
            return
        status = await self._answer(route, coroutine, scope, send)
        self._counts.add(route, status, time.perf_counter() - start)

    async def _answer(
        self, route: str, coroutine: Awaitable[HttpResponse], scope: Scope, send: Send
    ) -> int | str:
        """Sends the response that ``coroutine`` returns. Returns the status for the metrics."""
        request_id = _request_id(dict(scope["headers"]))
        set_present(request_id)
        return await self._send(coroutine, request_id, send)

    def handle_fast(
        self,
        headers: Mapping[bytes, bytes],
        body: bytes,
        on_response: Callable[[HttpResponse], None],
    ) -> bool:
        """Finds the author of a posted message without a coroutine.

        Returns True, and passes the response to ``on_response`` exactly once, now or later. If the
        request needs a coroutine, for example because it has many messages, this method does
        nothing and returns False.
        """
        start, request_id = time.perf_counter(), _request_id(headers)

        def respond(response: HttpResponse) -> None:
            on_response(response._replace(request_id=request_id))
            status = response.metrics_status or response.status
            self._counts.add(PATH, status, time.perf_counter() - start)

        with about([request_id]):
            try:
                return self._handle_fast(headers, body, respond)
            except Exception as error:  # as in Flask's error handler
                respond(problem_of(error, self._wait_s))
        return True

    def _handle_fast(
        self, headers: Mapping[bytes, bytes], body: bytes, respond: Callable[[HttpResponse], None]
    ) -> bool:
        key = self._authenticate(headers)
        check_encoding(_text(headers, b"content-encoding"))
        if key is not None and key.rate is not None:
            return False  # a coroutine has to ask Redis whether the rate allows the request
        if len(body) > self._max_body_bytes:
            raise too_large(self._max_body_bytes)
        posted = PostedRequest(b"", _text(headers, b"content-type"), body, key)
        return handle_fast(self._runtime.services.attributions, posted, respond)

    async def _run_lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        await self._runtime.open()
        counting = asyncio.ensure_future(run_forever(self._count))
        garbage.freeze_and_search_seldom()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        counting.cancel()
        self._counts.count(self._runtime.services.metrics)
        await self._runtime.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _count(self) -> None:
        await asyncio.sleep(COUNT_S)
        self._counts.count(self._runtime.services.metrics)

    async def _send(
        self, awaitable: Awaitable[HttpResponse], request_id: str, send: Send
    ) -> int | str:
        """Awaits a response and sends it. Returns the response's status for the metrics."""
        try:
            response = await awaitable
        except Disconnected:
            return _CLIENT_CLOSED
        except asyncio.CancelledError:  # the time limit for stopping is over
            response = problem("no_answer", "this process stops; the message may be sent again")
        except Exception as error:  # as in Flask's error handler
            response = problem_of(error, self._wait_s)
        headers = response._replace(request_id=request_id).asgi_headers()
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": response.body})
        return response.metrics_status or response.status

    @property
    def _wait_s(self) -> float:
        return self._runtime.services.client.dispatcher.wait_s

    def _is_allowed(self, scope: Scope) -> bool:
        try:
            self._authenticate(dict(scope["headers"]))
        except BylineError:
            return False
        return True

    async def _create(self, scope: Scope, receive: Receive) -> HttpResponse:
        headers = dict(scope["headers"])
        key = self._authenticate(headers)  # before the body is read
        check_encoding(_text(headers, b"content-encoding"))
        body = await _body(headers, receive, self._max_body_bytes)
        posted = PostedRequest(scope["query_string"], _text(headers, b"content-type"), body, key)
        return await self._runtime.services.attributions.create(posted)

    async def _read(self, scope: Scope) -> HttpResponse:
        self._authenticate(dict(scope["headers"]))
        id, head = _id(scope["path"].removesuffix("/")), scope["method"] == "HEAD"
        service = self._runtime.services.attributions
        return await service.read(id, scope["query_string"], head)

    def _authenticate(self, headers: Mapping[bytes, bytes]) -> ApiKey | None:
        """Returns the API key of a request; None if the API needs no keys.

        Raises:
            WrongSite, Unauthorized: the request is refused.
        """
        host, origin = headers.get(b"host"), headers.get(b"origin")
        self._authentication.check_origin(
            None if host is None else host.decode("latin-1"),
            None if origin is None else origin.decode("latin-1"),
        )
        return self._authentication.key_of(_text(headers, b"authorization"))


def create() -> AsgiApp:
    """Builds the ASGI application of one process; called by uvicorn in the event loop's thread."""
    app = create_app()
    runtime: Runtime = app.extensions["byline"]
    if runtime.settings.tracing == "off":
        return AsgiApp(runtime, app)
    from api.accelerator.traced_app import TracedApp  # noqa: PLC0415  # OpenTelemetry

    return TracedApp(runtime, app)


def _has_id(path: str) -> bool:
    """Returns whether a URL path names one attribution, as in ``/v1/attributions/<id>``."""
    return path.startswith(_ID_PREFIX) and _id(path) != "" and "/" not in _id(path)


def _id(path: str) -> str:
    return path.removeprefix(_ID_PREFIX)


def _request_id(headers: Mapping[bytes, bytes]) -> str:
    header = headers.get(b"x-request-id")
    return request_id_of(None if header is None else header.decode("latin-1"))


def _text(headers: Mapping[bytes, bytes], name: bytes) -> str:
    return headers.get(name, b"").decode("latin-1")


async def _body(headers: Mapping[bytes, bytes], receive: Receive, limit: int) -> bytes:
    """Returns the body of a request, even if the header ``Content-Length`` is missing.

    Raises:
        TooLarge: the body has more than ``limit`` bytes.
        Disconnected: the client disconnected before the end of the body.
    """
    declared = headers.get(b"content-length", b"0")  # the parser refuses values that are no number
    parts: list[bytes] = []
    size = 0
    while int(declared) <= limit and size <= limit:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        part = message.get("body", b"")
        size += len(part)
        parts.append(part)
        if not message.get("more_body") and size <= limit:
            return part if len(parts) == 1 else b"".join(parts)
    raise too_large(limit)
