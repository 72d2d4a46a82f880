"""Helpers: a real server with the API's protocol, and small ASGI applications for it."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from api.accelerator.fast_protocol import FastHttpProtocol
from tests.parts import free_port, wait_for

REQUEST = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n{}"
LAST = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Reads the body, and responds with 204."""
    body = await receive()
    while body.get("more_body"):
        body = await receive()
    if body["type"] == "http.request":
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})


async def slow(scope: Any, receive: Any, send: Any) -> None:
    """Responds after 0.5 s."""
    await asyncio.sleep(0.5)
    await application(scope, receive, send)


async def early(scope: Any, receive: Any, send: Any) -> None:
    """Responds before the body has arrived."""
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


async def long(scope: Any, receive: Any, send: Any) -> None:
    """Sends a response of 100 MiB, which exceeds the sockets' buffers."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(100):
        await send({"type": "http.response.body", "body": b"x" * 2**20, "more_body": True})
    await send({"type": "http.response.body"})


@contextmanager
def served(
    app: Any = application, protocol: type[asyncio.Protocol] = FastHttpProtocol
) -> Iterator[tuple[uvicorn.Server, int]]:
    """Yields a running server for ``app``, and its port."""
    port = free_port()
    # With proxy headers, uvicorn would wrap the application and hide its `handle_fast`.
    options = {"http": protocol, "lifespan": "off", "proxy_headers": False}
    config = uvicorn.Config(app, port=port, log_level="critical", **options)  # type: ignore[arg-type]
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
    """Returns all bytes that the other side sends until it closes the connection."""
    return b"".join(iter(lambda: connection.recv(4096), b""))


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Responds with the number of headers and the number of bytes of the body."""
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
    app: Any, data: bytes, step: int = 1 << 30, protocol: type[asyncio.Protocol] = FastHttpProtocol
) -> bytes:
    """Sends ``data`` in pieces of ``step`` bytes, and returns all bytes that the server sends."""
    with served(app, protocol) as (_, port), connect(port) as client:
        for start in range(0, len(data), step):
            client.sendall(data[start : start + step])
        return all_of(client)


def check_problem(received: bytes, status: int, code: str) -> None:
    """Checks that a response is a problem document, and the last response on its connection."""
    top, _, body = received.partition(b"\r\n\r\n")
    lines = top.split(b"\r\n")
    assert lines[0].startswith(b"HTTP/1.1 %d " % status), received[:300]
    assert b"content-type: application/problem+json" in lines
    assert b"connection: close" in lines
    assert json.loads(body)["code"] == code
