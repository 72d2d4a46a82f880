"""A real server with the protocol of the api, and small applications for it."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from api.accelerator.protocol import Protocol
from tests.parts import free_port, wait_for

REQUEST = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n{}"
LAST = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"


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
def served(
    answers: Any = application, protocol: type[asyncio.Protocol] = Protocol
) -> Iterator[tuple[uvicorn.Server, int]]:
    """Yield a real server with a protocol, as a rule Byline's, and its port."""
    port = free_port()
    # As `python -m api` has it: with proxy headers, uvicorn would hide the application's short way.
    own = {"http": protocol, "lifespan": "off", "proxy_headers": False}
    config = uvicorn.Config(answers, port=port, log_level="critical", **own)  # type: ignore[arg-type]
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


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answer with the number of headers, and of the bytes of the body."""
    size, message = 0, await receive()
    size += len(message.get("body", b""))
    while message.get("more_body"):
        message = await receive()
        size += len(message.get("body", b""))
    if message["type"] == "http.request":
        body = b"%d headers, %d bytes" % (len(scope["headers"]), size)
        headers = [(b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def connect(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), 10)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def exchanged(
    app: Any, data: bytes, step: int = 1 << 30, protocol: type[asyncio.Protocol] = Protocol
) -> bytes:
    """Return all that is answered to ``data``, sent in steps, until the connection is closed."""
    with served(app, protocol) as (_, port), connect(port) as client:
        for start in range(0, len(data), step):
            client.sendall(data[start : start + step])
        return all_of(client)


def check_problem(received: bytes, status: int, code: str) -> None:
    """See that the answer is one problem document, and the last on its connection."""
    top, _, body = received.partition(b"\r\n\r\n")
    lines = top.split(b"\r\n")
    assert lines[0].startswith(b"HTTP/1.1 %d " % status), received[:300]
    assert b"content-type: application/problem+json" in lines
    assert b"connection: close" in lines
    assert json.loads(body)["code"] == code
