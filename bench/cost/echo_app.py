"""An ASGI application that sends back each request's body, and does nothing else.

Its CPU time is the least that an HTTP server needs for a request.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


async def echo(_scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Reads a request's body, and sends it back as the response.

    uvicorn needs the option ``--lifespan off``, because this application takes only HTTP requests.
    """
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
