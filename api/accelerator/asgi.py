"""The application as the server sees it: attributions at once, all others through Flask.

Nearly every request is about attributions, and it spends its time waiting. Here waiting costs a
coroutine, and neither a thread nor Flask's contexts, routing and response objects.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from typing import Any

from api import console
from api.accelerator.exchange import PATH
from api.answers import Answer, answer
from api.attributions import Attributions
from api.errors import TooLarge, WrongType, problem, problem_of
from api.feedback import Feedback
from api.figures import Figures
from api.guard import Guard
from api.keys import Key
from api.origins import Refuse
from api.query import parse_query
from api.schemas import Health
from api.served import Served
from celery_app.client.forever import forever
from celery_app.client.outbox import Outbox
from tasks.errors import Unauthorized

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
ASGI = Callable[[Scope, Receive, Send], Awaitable[None]]

HEALTH = "/healthz"
#: What needs no key where there are keys. All else does, as a path may be written in many ways.
OPEN = frozenset(
    (
        *(HEALTH, "/readyz", "/openapi.json", "/docs"),
        *console.PATHS,
        # What Swagger UI is made of.
        *("/docs/", "/docs/index.css", "/docs/swagger-ui.css", "/docs/swagger-ui-bundle.js"),
        "/docs/swagger-ui-standalone-preset.js",
        *("/docs/favicon-32x32.png", "/docs/favicon-16x16.png"),
    )
)
#: Seconds after which what was served is counted.
COUNT_S = 1.0
FEEDBACK, FIGURES = "/v1/feedback", "/v1/figures"
#: The names that a query may have.
CREATE_QUERY = ("explain", "model", "wait")
READ_QUERY = ("explain",)
FIGURES_QUERY = ("points",)
_ALIVE = answer(Health("ok", {"api": "ok"}))
_BELOW = PATH + "/"
_READING = ("GET", "HEAD")
#: What requests are counted under: a path is anybody's to choose.
_ROUTES = {
    **{path: path for path in (PATH, FEEDBACK, FIGURES, HEALTH, "/readyz", "/v1/models", "/")},
    _BELOW: PATH,
}
#: What alerts look at of them: see :class:`api.served.Served`.
EXPECTED = {PATH: (200, 202, 500, 503, 504), FEEDBACK: (202, 409)}
_ONE, _OTHER = f"{_BELOW}{{id}}", "other"
#: Under which those are counted whose client went away before it had sent them, as nginx does.
_GONE = 499


class Disconnected(Exception):
    """The client closed the connection before its request was whole."""


class MethodNotAllowed(Exception):
    """The resource is not for this method. Holds the one that it is for."""


class Front:
    """The ASGI application of one process."""

    def __init__(
        self,
        attributions: Attributions,
        feedback: Feedback,
        figures: Figures,
        outbox: Outbox,
        guard: Guard,
        others: ASGI,
        served: Served,
        max_body_bytes: int,
        refuse: Refuse,
    ) -> None:
        """``others`` answers what is none of the endpoints, ``refuse`` comes before all."""
        self._attributions = attributions
        self._feedback = feedback
        self._figures = figures
        self._outbox = outbox
        self._guard = guard
        self._others = others
        self._served = served
        self._max_body_bytes = max_body_bytes
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Part of ASGI."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        begin, path = time.perf_counter(), scope["path"]
        route = _ONE if path.startswith(_BELOW) and path != _BELOW else _ROUTES.get(path, _OTHER)
        if refused := self._refuse(dict(scope["headers"])):
            status = await _send(refused, send)
        elif route == PATH:
            status = await self._answer(self._create(scope, receive), send)
        else:
            status = await self._serve(route, scope, receive, send)
        self._served.note(route, status, time.perf_counter() - begin)

    def attend(
        self, headers: Mapping[bytes, bytes], body: bytes, answered: Callable[[Answer], None]
    ) -> bool:
        """Answer a message posted to :data:`PATH`. See :data:`api.accelerator.exchange.Attend`."""
        begin = time.perf_counter()

        def answer(given: Answer) -> None:
            answered(given)
            self._served.note(PATH, given.counted or given.status, time.perf_counter() - begin)

        try:
            if refused := self._refuse(headers):
                answer(refused)
                return True
            key = self._admitted(headers)
            if key is not None and key.rate is not None:
                return False  # Redis knows whether it may
            if len(body) > self._max_body_bytes:
                raise TooLarge(f"the body has more than {self._max_body_bytes:,} bytes")
            return self._attributions.attend(_content_type(headers), body, answer, key)
        except Exception as error:  # as for others
            answer(problem_of(error, self._outbox.wait_s))
        return True

    async def _serve(self, route: str, scope: Scope, receive: Receive, send: Send) -> int | str:
        """Answer a request for anything else; return the status."""
        if route == _ONE:
            return await self._answer(self._read(scope), send)
        if route == FEEDBACK:
            return await self._answer(self._learn(scope, receive), send)
        if route == FIGURES:
            return await self._answer(self._show(scope), send)
        if route == HEALTH:
            return await _send(
                _ALIVE if scope["method"] in _READING else _not_allowed(*_READING), send
            )
        if scope["path"] not in OPEN and (refused := self._refused(scope)):
            return await _send(refused, send)
        return await self._pass_on(scope, receive, send)

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> int:
        status = 0

        async def note(message: dict[str, Any]) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        await self._others(scope, receive, note)
        return status

    def _refused(self, scope: Scope) -> Answer | None:
        try:
            self._know(dict(scope["headers"]))
        except Unauthorized as error:
            return problem_of(error)
        return None

    def _know(self, headers: Mapping[bytes, bytes]) -> Key | None:
        return self._guard.know(headers.get(b"authorization", b"").decode("latin-1"))

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        self._outbox.start()
        counting = asyncio.ensure_future(forever(self._count))
        await send({"type": "lifespan.startup.complete"})
        await receive()
        counting.cancel()
        self._served.count()
        await self._outbox.stop()
        await send({"type": "lifespan.shutdown.complete"})

    async def _count(self) -> None:
        await asyncio.sleep(COUNT_S)
        self._served.count()

    async def _answer(self, asked: Awaitable[Answer], send: Send) -> int | str:
        try:
            given = await asked
        except Disconnected:
            return _GONE  # there is nobody to answer
        except MethodNotAllowed as error:
            given = _not_allowed(str(error))
        except asyncio.CancelledError:  # the process stops, and has waited for long enough
            given = problem("no_answer", "this process stops; the message may be sent again")
        except Exception as error:  # as Flask's error handlers do
            given = problem_of(error, self._outbox.wait_s)
        return await _send(given, send)

    async def _create(self, scope: Scope, receive: Receive) -> Answer:
        content_type, body, key = await self._posted(scope, receive)
        query = _query(scope, CREATE_QUERY)
        return await self._attributions.create(query, content_type, body, key)

    async def _learn(self, scope: Scope, receive: Receive) -> Answer:
        posted = await self._posted(scope, receive)
        _query(scope, ())
        return await self._feedback.create(*posted)

    async def _posted(self, scope: Scope, receive: Receive) -> tuple[str, bytes, Key | None]:
        """Return the type and the body of what was posted, and whose key it came with.

        Raises:
            MethodNotAllowed, Unauthorized, WrongType, TooLarge: it is not to be looked at.
            Disconnected: it never ended.
        """
        if scope["method"] != "POST":
            raise MethodNotAllowed("POST")
        headers = dict(scope["headers"])
        key = self._admitted(headers)  # before anything of the body is read
        body = await _body(headers, receive, self._max_body_bytes)
        return _content_type(headers), body, key

    def _admitted(self, headers: Mapping[bytes, bytes]) -> Key | None:
        """Return whose key what is posted comes with. Raises ``Unauthorized``, ``WrongType``."""
        key = self._know(headers)
        if headers.get(b"content-encoding", b"identity").lower() != b"identity":
            raise WrongType("send the body as it is, with no Content-Encoding")
        return key

    async def _show(self, scope: Scope) -> Answer:
        if scope["method"] not in _READING:
            return _not_allowed(*_READING)
        self._know(dict(scope["headers"]))
        return await self._figures.read(_query(scope, FIGURES_QUERY))

    async def _read(self, scope: Scope) -> Answer:
        if scope["method"] not in _READING:
            return _not_allowed(*_READING)
        self._know(dict(scope["headers"]))
        query = _query(scope, READ_QUERY)
        id, head = scope["path"].removeprefix(_BELOW), scope["method"] == "HEAD"
        return await self._attributions.read(id, query, head)


def _not_allowed(*methods: str) -> Answer:
    allowed = ", ".join(methods)
    refused = problem("method_not_allowed", f"here goes {allowed} only")
    return refused._replace(headers=(("Allow", allowed),))


def _content_type(headers: Mapping[bytes, bytes]) -> str:
    return headers.get(b"content-type", b"").decode("latin-1")


def _query(scope: Scope, known: Sequence[str]) -> dict[str, str]:
    return parse_query(scope["query_string"], known)


async def _send(answer: Answer, send: Send) -> int | str:
    """Send an answer; return the status that it is counted under."""
    await send({"type": "http.response.start", "status": answer.status, "headers": answer.asgi()})
    await send({"type": "http.response.body", "body": answer.body})
    return answer.counted or answer.status


async def _body(headers: dict[bytes, bytes], receive: Receive, limit: int) -> bytes:
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
    raise TooLarge(f"the body has more than {limit:,} bytes")
