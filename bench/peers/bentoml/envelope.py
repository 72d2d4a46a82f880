"""ASGI middleware: makes BentoML's API for lists of messages also take a single message.

A batchable API of BentoML takes lists only. A second service in front, as in BentoML's
documentation, would cost a second HTTP request.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]
Application = Callable[[Event, Receive, Send], Awaitable[None]]


class Envelope:
    """ASGI middleware that puts a request's single message into a list.

    The middleware takes the attribution out of the list in the response.
    """

    def __init__(self, app: Application) -> None:
        """Keeps ``app``, BentoML's ASGI application."""
        self._app = app

    async def __call__(self, scope: Event, receive: Receive, send: Send) -> None:
        """Passes a request to BentoML's application.

        If the path is ``/attribute``, changes the body of the request and the body of the response.
        """
        if scope["type"] != "http" or scope["path"] != "/attribute":
            await self._app(scope, receive, send)
            return
        body = await _body(receive)
        single = not body.lstrip(b" \t\r\n{").startswith(b'"messages"')
        if single:
            body = b'{"messages":[' + body + b"]}"
        _measure(scope, len(body))
        start: list[Event] = []

        async def wrapped() -> Event:
            return {"type": "http.request", "body": body, "more_body": False}

        async def unwrapped(event: Event) -> None:
            if event["type"] == "http.response.start":
                start.append(event)
                return
            if start:
                if start[0]["status"] == 200:
                    content = event["body"]
                    content = content[1:-1] if single else b'{"attributions":' + content + b"}"
                    event["body"] = content
                    _measure(start[0], len(content))
                await send(start.pop())
            await send(event)

        await self._app(scope, wrapped, unwrapped)


async def _body(receive: Receive) -> bytes:
    parts, more = [], True
    while more:
        event = await receive()
        parts.append(event.get("body", b""))
        more = event.get("more_body", False)
    return b"".join(parts)


def _measure(event: Event, size: int) -> None:
    others = [(name, value) for name, value in event["headers"] if name != b"content-length"]
    event["headers"] = [*others, (b"content-length", str(size).encode())]
