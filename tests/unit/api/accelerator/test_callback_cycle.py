"""Requests that are answered by callback, with a real server. The application can also use ASGI."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import uvicorn

from api.accelerator.callback_cycle import Headers
from api.accelerator.fast_protocol import FastHttpProtocol
from api.http_response import HttpResponse
from tests.parts import free_port, wait_for


class Application:
    """Responds by callback, at once or in :meth:`respond`, or as an ASGI application."""

    def __init__(self) -> None:
        self.fast: list[tuple[dict[bytes, bytes], bytes]] = []
        self.asgi: list[bytes] = []
        self.willing = self.prompt = True
        self.waiting: list[Callable[[HttpResponse], None]] = []
        self.loop: asyncio.AbstractEventLoop | None = None

    def handle_fast(
        self, headers: Headers, body: bytes, on_response: Callable[[HttpResponse], None]
    ) -> bool:
        self.loop = asyncio.get_running_loop()
        if not self.willing:
            return False
        self.fast.append((dict(headers), body))
        if self.prompt:
            on_response(HttpResponse(b'{"by":"call"}', 201, headers=(("Location", "/here"),)))
        else:
            self.waiting.append(on_response)
        return True

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        message = await receive()
        body = message.get("body", b"")
        while message.get("more_body"):
            message = await receive()
            body += message.get("body", b"")
        self.asgi.append(body)
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    def respond(self, body: bytes = b"{}") -> None:
        """Responds to all waiting requests."""
        waiting, self.waiting = self.waiting, []
        assert self.loop is not None
        for on_response in waiting:
            self.loop.call_soon_threadsafe(on_response, HttpResponse(body))


class Served:
    """A server for the application."""

    def __init__(self, app: Application, grace_s: int) -> None:
        self.app = app
        self.port = free_port()
        config = uvicorn.Config(
            app,
            port=self.port,
            http=FastHttpProtocol,
            interface="asgi3",
            proxy_headers=False,
            lifespan="off",
            log_level="critical",
            timeout_graceful_shutdown=grace_s,
        )
        self.server = uvicorn.Server(config)

    def client(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), 10)


@contextmanager
def served(grace_s: int = 20) -> Iterator[Served]:
    served = Served(Application(), grace_s)
    thread = threading.Thread(target=served.server.run)
    thread.start()
    try:
        wait_for(lambda: served.server.started, what="the server")
        yield served
    finally:
        served.server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()


def post(body: bytes, *fields: bytes, path: bytes = b"/v1/attributions") -> bytes:
    lines = [b"POST %b HTTP/1.1" % path, b"Host: a", b"Content-Length: %d" % len(body), *fields]
    return b"\r\n".join([*lines, b"", body])


def receive_responses(client: socket.socket, count: int) -> bytes:
    """Receives bytes until there are ``count`` heads, and the last response is complete."""
    received = b""
    while received.count(b"HTTP/1.1 ") < count or not received.endswith((b"}", b"\r\n\r\n")):
        piece = client.recv(4096)
        assert piece, received
        received += piece
    return received


def all_of(client: socket.socket) -> bytes:
    return b"".join(iter(lambda: client.recv(4096), b""))


def test_whole_request_is_answered_by_callback() -> None:
    with served() as here, here.client() as client:
        for number in range(3):
            client.sendall(post(b"%d" % number, b"X-Own: yes"))
            received = receive_responses(client, 1)
            assert received.startswith(b"HTTP/1.1 201 Created\r\n")
            assert b"\r\nlocation: /here\r\n" in received
            assert b"\r\ndate: " in received
            assert b"\r\ncontent-length: 13\r\n" in received
            assert received.endswith(b'\r\n\r\n{"by":"call"}')
    assert [body for _, body in here.app.fast] == [b"0", b"1", b"2"]
    assert here.app.fast[0][0][b"x-own"] == b"yes"
    assert not here.app.asgi


def test_request_in_pieces_is_answered_by_coroutine() -> None:
    request = post(b"0123456789")
    with served() as here, here.client() as client:
        for cut in (20, len(request) - 10, len(request) - 4):
            client.sendall(request[:cut])
            client.settimeout(0.1)
            with pytest.raises(TimeoutError):
                client.recv(1)
            client.settimeout(10)
            client.sendall(request[cut:])
            receive_responses(client, 1)
    # With a cut within the head, the whole body arrives in the last piece.
    assert [body for _, body in here.app.fast] == [b"0123456789"]
    assert here.app.asgi == [b"0123456789"] * 2


def test_request_that_handle_fast_declines_goes_to_asgi() -> None:
    with served() as here, here.client() as client:
        here.app.willing = False
        client.sendall(post(b"many"))
        assert receive_responses(client, 1).startswith(b"HTTP/1.1 204")
        here.app.willing = True
        client.sendall(post(b"one"))
        assert receive_responses(client, 1).startswith(b"HTTP/1.1 201")
    assert (here.app.asgi, [body for _, body in here.app.fast]) == ([b"many"], [b"one"])


@pytest.mark.parametrize(
    "request_",
    [
        post(b"x", path=b"/v1/attributions?wait=1"),
        post(b"x", path=b"/v1/feedback"),
        post(b"x", b"Expect: 100-continue"),
        post(b"x").replace(b"POST", b"PUT"),
    ],
)
def test_other_requests_are_not_answered_by_callback(request_: bytes) -> None:
    with served() as here, here.client() as client:
        client.sendall(request_)
        assert b"HTTP/1.1 204" in receive_responses(client, 1 + (b"Expect" in request_))
    assert not here.app.fast


def test_pipelined_requests_are_answered_in_order() -> None:
    with served() as here, here.client() as client:
        here.app.prompt = False
        client.sendall(post(b"first") + post(b"second") + post(b"third"))
        wait_for(lambda: here.app.waiting, what="the first request")
        here.app.respond(b'{"first":1}')
        received = receive_responses(client, 3)
        assert received.index(b'{"first":1}') < received.index(b"HTTP/1.1 204")
    assert here.app.asgi == [b"second", b"third"]


@pytest.mark.parametrize(
    "request_", [post(b"x", b"Connection: close"), post(b"x").replace(b"HTTP/1.1", b"HTTP/1.0")]
)
def test_connection_closes_when_the_client_asks(request_: bytes) -> None:
    with served() as here, here.client() as client:
        client.sendall(request_)
        received = all_of(client)
    assert received.count(b"\r\nconnection: close\r\n") == 1
    assert received.endswith(b'{"by":"call"}')


def test_disconnected_client_gets_no_response() -> None:
    with served() as here:
        here.app.prompt = False
        with here.client() as client:
            client.sendall(post(b"x"))
            wait_for(lambda: here.app.waiting, what="the request")
            # SO_LINGER makes close() send a reset. Without a reset, the client might still read.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        wait_for(lambda: not here.server.server_state.connections, what="the end of the connection")
        here.app.respond()
        wait_for(lambda: not here.server.server_state.tasks, what="the end of the request")
        with here.client() as client:
            client.sendall(post(b"x"))
            wait_for(lambda: here.app.waiting, what="the request")
            here.app.respond()
            assert receive_responses(client, 1).startswith(b"HTTP/1.1 200")


def test_stopping_server_waits_for_the_response() -> None:
    with served() as here, here.client() as client:
        here.app.prompt = False
        client.sendall(post(b"x"))
        wait_for(lambda: here.app.waiting, what="the request")
        here.server.should_exit = True
        wait_for(lambda: not here.server.servers[0].is_serving(), what="the server to stop")
        here.app.respond()
        received = all_of(client)
    assert received.startswith(b"HTTP/1.1 200")
    assert b"\r\nconnection: close\r\n" in received


def test_stopping_server_sends_one_503_after_its_grace_time() -> None:
    with served(grace_s=1) as here, here.client() as client:
        here.app.prompt = False
        client.sendall(post(b"x"))
        wait_for(lambda: here.app.waiting, what="the request")
        here.server.should_exit = True
        received = all_of(client)
        here.app.waiting[0](HttpResponse(b"late"))
    assert received.startswith(b"HTTP/1.1 503")
    assert b'"no_answer"' in received
    assert b"late" not in received


INVALID = post(b"", b"Transfer-Encoding: chunked").replace(b"Content-Length: 0\r\n", b"")


@pytest.mark.parametrize("invalid", [INVALID + b"no size\r\n", b"\x16\x03\x01", b"GET\r\n\r\n"])
def test_invalid_request_is_answered_after_the_requests_before_it(invalid: bytes) -> None:
    with served() as here, here.client() as client:
        here.app.prompt = False
        client.sendall(post(b"x") + post(b"y") + invalid)
        wait_for(lambda: here.app.waiting, what="the request")
        client.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.recv(1)
        client.settimeout(10)
        here.app.respond(b'{"first":1}')
        received = all_of(client)
    first, second, last = (received.index(b"HTTP/1.1 %d" % status) for status in (200, 204, 400))
    assert first < received.index(b'{"first":1}') < second < last
    assert b"application/problem+json" in received[last:]
    assert b"\r\nconnection: close\r\n" in received[last:]


def test_response_to_a_reset_connection_raises_nothing() -> None:
    with served() as here, here.client() as client, here.client() as other:
        here.app.prompt = False
        client.sendall(post(b"x"))
        wait_for(lambda: here.app.waiting, what="the request")
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        other.sendall(post(b"y"))
        wait_for(lambda: len(here.app.waiting) == 2, what="the other request")
        raised: list[str] = []

        def respond(callbacks: list[Callable[[HttpResponse], None]]) -> None:
            for on_response in callbacks:
                try:
                    on_response(HttpResponse(b"{}"))
                except RuntimeError as error:
                    raised.append(str(error))

        assert here.app.loop is not None
        here.app.loop.call_soon_threadsafe(respond, here.app.waiting)
        assert receive_responses(other, 1).startswith(b"HTTP/1.1 200")
        wait_for(lambda: not here.server.server_state.tasks, what="the end of the requests")
    assert not raised
