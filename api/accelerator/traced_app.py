"""The accelerator's ASGI application, with tracing by OpenTelemetry.

The application makes a span (a timed record) of each request that it answers itself. Flask's
middleware makes the spans of the other requests.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from flask import Flask

from api.accelerator.asgi_app import AsgiApp, Receive
from api.accelerator.flask_bridge import Scope, Send
from api.http_response import HttpResponse
from api.runtime import Runtime
from api.service import PATH
from monitoring.instruments import request_ids, tracing
from monitoring.instruments.tracing import export


class TracedApp(AsgiApp):
    """Makes a span (a timed record, for tracing) of each request for an attribution."""

    def __init__(self, runtime: Runtime, app: Flask) -> None:
        super().__init__(runtime, app)
        self._tracer = tracing.start()

    async def _answer(
        self, route: str, coroutine: Awaitable[HttpResponse], scope: Scope, send: Send
    ) -> int | str:
        method = scope["method"]
        span = self._tracer.start_request(method, _traceparent(dict(scope["headers"])))
        with self._tracer.use(span):
            status = await super()._answer(route, coroutine, scope, send)
        self._tracer.end_request(span, method, route, int(status), request_ids.present())
        return status

    def handle_fast(
        self,
        headers: Mapping[bytes, bytes],
        body: bytes,
        on_response: Callable[[HttpResponse], None],
    ) -> bool:
        """Calls :meth:`AsgiApp.handle_fast`, and exports a span when the response is ready.

        If the request needs a coroutine, this method exports no span.
        """
        span = self._tracer.start_request("POST", _traceparent(headers))

        def respond(response: HttpResponse) -> None:
            self._tracer.end_request(span, "POST", PATH, response.status, response.request_id)
            on_response(response)

        with self._tracer.use(span):
            return super().handle_fast(headers, body, respond)

    async def _run_lifespan(self, receive: Receive, send: Send) -> None:
        """Runs the server's start and stop, and exports the last spans before the process ends.

        A signal ends each child process of uvicorn, so Python calls no ``atexit`` function there.
        """

        async def send_later(message: dict[str, Any]) -> None:
            if message["type"] == "lifespan.shutdown.complete":
                await asyncio.to_thread(export.flush)
            await send(message)

        await super()._run_lifespan(receive, send_later)


def _traceparent(headers: Mapping[bytes, bytes]) -> str | None:
    header = headers.get(b"traceparent")
    return None if header is None else header.decode("latin-1")
