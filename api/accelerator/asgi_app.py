"""The application as the server sees it: attributions at once, all else through Flask.

Nearly every request is about attributions, and it spends its time waiting. Here waiting costs a
coroutine, and neither a thread nor Flask's contexts, routing and response objects.
"""

from __future__ import annotations

import asyncio
import gc
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
from celery_app.client.run_forever import run_forever
from monitoring.instruments.request_ids import about, set_present
from tasks.errors import BylineError

Receive = Callable[[], Awaitable[dict[str, Any]]]

#: Seconds after which what was answered is counted.
COUNT_S = 1.0
_BELOW, _ONE = f"{PATH}/", f"{PATH}/{{id}}"
#: Under which those are counted whose client went away before it had sent them, as nginx does.
_GONE = 499
#: Objects made and not yet gone before the collector looks through them. What a message takes is
#: gone once it is answered, and in no circle; hundreds under way took a twelfth of the time.
YOUNG = 20_000


class Disconnected(Exception):
    """The client closed the connection before its request was whole."""


class AsgiApp:
    """The ASGI application of one process."""

    def __init__(self, runtime: Runtime, app: Flask) -> None:
        """``app`` answers what is not about attributions."""
        self._runtime = runtime
        self._authentication = Authentication(runtime.settings, runtime.keys)
        self._max_body_bytes = runtime.settings.max_body_bytes
        self._flask = FlaskBridge(app, self._max_body_bytes)
        self._counts = RequestCounts()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Part of ASGI."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        begin, path, method = time.perf_counter(), scope["path"], scope["method"]
        path = path.removesuffix("/")  # as Flask's routes do
        if path == PATH and method == "POST":
            route, asked = PATH, self._create(scope, receive)
        elif path.startswith(_BELOW) and method in ("GET", "HEAD") and "/" not in _id(path) != "":
            route, asked = _ONE, self._read(scope)
        else:
            await self._flask.answer(scope, receive, send, self._may_ask(scope))
            return
        request_id = _request_id(dict(scope["headers"]))
        set_present(request_id)
        status = await self._answer(asked, request_id, send)
        self._counts.note(route, status, time.perf_counter() - begin)

    def handle_fast(
        self, headers: Mapping[bytes, bytes], body: bytes, answered: Callable[[HttpResponse], None]
    ) -> bool:
        """Answer a message posted to :data:`PATH`.

        See :data:`api.accelerator.callback_cycle.HandleFast`.
        """
        begin, request_id = time.perf_counter(), _request_id(headers)

        def answer(given: HttpResponse) -> None:
            answered(given._replace(request_id=request_id))
            status = given.counted or given.status
            self._counts.note(PATH, status, time.perf_counter() - begin)

        with about([request_id]):
            try:
                return self._handle_fast(headers, body, answer)
            except Exception as error:  # as for others
                answer(problem_of(error, self._wait_s))
        return True

    def _handle_fast(
        self, headers: Mapping[bytes, bytes], body: bytes, answer: Callable[[HttpResponse], None]
    ) -> bool:
        key = self._admitted(headers)
        check_encoding(_text(headers, b"content-encoding"))
        if key is not None and key.rate is not None:
            return False  # Redis knows whether it may
        if len(body) > self._max_body_bytes:
            raise too_large(self._max_body_bytes)
        posted = PostedRequest(b"", _text(headers, b"content-type"), body, key)
        return handle_fast(self._runtime.services.attributions, posted, answer)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        await self._runtime.open()
        counting = asyncio.ensure_future(run_forever(self._count))
        # What was made up to here stays: looking through it for garbage took 40 ms each second.
        gc.collect()
        gc.freeze()
        gc.set_threshold(YOUNG)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        counting.cancel()
        self._counts.count(self._runtime.services.metrics)
        await self._runtime.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _count(self) -> None:
        await asyncio.sleep(COUNT_S)
        self._counts.count(self._runtime.services.metrics)

    async def _answer(
        self, asked: Awaitable[HttpResponse], request_id: str, send: Send
    ) -> int | str:
        """Send the answer; return the status that it is counted under."""
        try:
            given = await asked
        except Disconnected:
            return _GONE  # there is nobody to answer
        except asyncio.CancelledError:  # the process stops, and has waited for long enough
            given = problem("no_answer", "this process stops; the message may be sent again")
        except Exception as error:  # as Flask's error handlers do
            given = problem_of(error, self._wait_s)
        headers = given._replace(request_id=request_id).asgi()
        await send({"type": "http.response.start", "status": given.status, "headers": headers})
        await send({"type": "http.response.body", "body": given.body})
        return given.counted or given.status

    @property
    def _wait_s(self) -> float:
        return self._runtime.services.client.dispatcher.wait_s

    def _may_ask(self, scope: Scope) -> bool:
        try:
            self._admitted(dict(scope["headers"]))
        except BylineError:
            return False
        return True

    async def _create(self, scope: Scope, receive: Receive) -> HttpResponse:
        headers = dict(scope["headers"])
        key = self._admitted(headers)  # before anything of the body is read
        check_encoding(_text(headers, b"content-encoding"))
        body = await _body(headers, receive, self._max_body_bytes)
        posted = PostedRequest(scope["query_string"], _text(headers, b"content-type"), body, key)
        return await self._runtime.services.attributions.create(posted)

    async def _read(self, scope: Scope) -> HttpResponse:
        self._admitted(dict(scope["headers"]))
        id, head = _id(scope["path"].removesuffix("/")), scope["method"] == "HEAD"
        service = self._runtime.services.attributions
        return await service.read(id, scope["query_string"], head)

    def _admitted(self, headers: Mapping[bytes, bytes]) -> ApiKey | None:
        """Return whose key a request has. Raises as the methods of ``Authentication``."""
        host, origin = headers.get(b"host"), headers.get(b"origin")
        self._authentication.check_origin(
            None if host is None else host.decode("latin-1"),
            None if origin is None else origin.decode("latin-1"),
        )
        return self._authentication.key_of(_text(headers, b"authorization"))


def create() -> AsgiApp:
    """Build one process's application. Called by the server, in its loop's thread."""
    app = create_app()
    return AsgiApp(app.extensions["byline"], app)


def _id(path: str) -> str:
    return path.removeprefix(_BELOW)


def _request_id(headers: Mapping[bytes, bytes]) -> str:
    given = headers.get(b"x-request-id")
    return request_id_of(None if given is None else given.decode("latin-1"))


def _text(headers: Mapping[bytes, bytes], name: bytes) -> str:
    return headers.get(name, b"").decode("latin-1")


async def _body(headers: Mapping[bytes, bytes], receive: Receive, limit: int) -> bytes:
    """Return the body, whether its length was told before or not.

    Raises:
        TooLarge: it has more than ``limit`` bytes.
        Disconnected: it never ended.
    """
    told = headers.get(b"content-length", b"0")  # the server has checked that it is a number
    parts: list[bytes] = []
    size = 0
    while int(told) <= limit and size <= limit:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        part = message.get("body", b"")
        size += len(part)
        parts.append(part)
        if not message.get("more_body") and size <= limit:
            return part if len(parts) == 1 else b"".join(parts)
    raise too_large(limit)
