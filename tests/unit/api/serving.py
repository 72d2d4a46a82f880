"""A real server with the protocol of the api, and small applications for it."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from api.protocol import Protocol
from tests.parts import free_port, wait_for

REQUEST = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n{}"


async def application(scope: Any, receive: Any, send: Any) -> None:
    body = await receive()
    while body.get("more_body"):
        body = await receive()
    if body["type"] == "http.request":
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})


async def slow(scope: Any, receive: Any, send: Any) -> None:
    """Answer after the time that a request may take."""
    await asyncio.sleep(0.5)
    await application(scope, receive, send)


async def early(scope: Any, receive: Any, send: Any) -> None:
    """Answer before the body has come."""
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


async def long(scope: Any, receive: Any, send: Any) -> None:
    """Answer with more than fits into the sockets' buffers."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(100):
        await send({"type": "http.response.body", "body": b"x" * 2**20, "more_body": True})
    await send({"type": "http.response.body"})


@contextmanager
def served(answers: Any = application) -> Iterator[tuple[uvicorn.Server, int]]:
    """Yield a real server with the protocol, and its port."""
    port = free_port()
    config = uvicorn.Config(answers, port=port, http=Protocol, lifespan="off", log_level="critical")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_for(lambda: server.started, what="the server")
        yield server, port
    finally:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()


def all_of(connection: socket.socket) -> bytes:
    """Return what is sent until the other side closes."""
    return b"".join(iter(lambda: connection.recv(4096), b""))
