"""Requests that are answered by a call: on a real server, by an application that can do both."""

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
from api.accelerator.protocol import Protocol
from api.http_response import HttpResponse
from tests.parts import free_port, wait_for


class Application:
    """Answers by a call, at once or when it is told to; and as ASGI what it is asked so."""

    def __init__(self) -> None:
        self.attended: list[tuple[dict[bytes, bytes], bytes]] = []
        self.asgi: list[bytes] = []
        self.willing = self.prompt = True
        self.waiting: list[Callable[[HttpResponse], None]] = []
        self.loop: asyncio.AbstractEventLoop | None = None

    def handle_fast(
        self, headers: Headers, body: bytes, answered: Callable[[HttpResponse], None]
    ) -> bool:
        self.loop = asyncio.get_running_loop()
        if not self.willing:
            return False
        self.attended.append((dict(headers), body))
        if self.prompt:
            answered(HttpResponse(b'{"by":"call"}', 201, headers=(("Location", "/here"),)))
        else:
            self.waiting.append(answered)
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

    def answer(self, body: bytes = b"{}") -> None:
        """Answer all that wait."""
        waiting, self.waiting = self.waiting, []
        assert self.loop is not None
        for answered in waiting:
            self.loop.call_soon_threadsafe(answered, HttpResponse(body))


class Served:
    """A real server with the application."""

    def __init__(self, app: Application, grace_s: int) -> None:
        self.app = app
        self.port = free_port()
        config = uvicorn.Config(
            app,
            port=self.port,
            http=Protocol,
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


def answers(client: socket.socket, count: int) -> bytes:
    """Return what is received until it holds so many answers' heads and ends as a whole one."""
    received = b""
    while received.count(b"HTTP/1.1 ") < count or not received.endswith((b"}", b"\r\n\r\n")):
        piece = client.recv(4096)
        assert piece, received
        received += piece
    return received


def all_of(client: socket.socket) -> bytes:
    return b"".join(iter(lambda: client.recv(4096), b""))


def test_what_comes_whole_is_answered_by_a_call() -> None:
    with served() as here, here.client() as client:
        for number in range(3):
            client.sendall(post(b"%d" % number, b"X-Own: yes"))
            received = answers(client, 1)
            assert received.startswith(b"HTTP/1.1 201 Created\r\n")
            assert b"\r\nlocation: /here\r\n" in received
            assert b"\r\ndate: " in received
            assert b"\r\ncontent-length: 13\r\n" in received
            assert received.endswith(b'\r\n\r\n{"by":"call"}')
    assert [body for _, body in here.app.attended] == [b"0", b"1", b"2"]
    assert here.app.attended[0][0][b"x-own"] == b"yes"
    assert not here.app.asgi


def test_what_comes_in_pieces_has_a_coroutine_wait_for_the_rest() -> None:
    request = post(b"0123456789")
    with served() as here, here.client() as client:
        for cut in (20, len(request) - 10, len(request) - 4):
            client.sendall(request[:cut])
            client.settimeout(0.1)
            with pytest.raises(TimeoutError):
                client.recv(1)
            client.settimeout(10)
            client.sendall(request[cut:])
            answers(client, 1)
    # In pieces before the end of the head, it is whole with the last one.
    assert [body for _, body in here.app.attended] == [b"0123456789"]
    assert here.app.asgi == [b"0123456789"] * 2


def test_what_the_application_does_not_attend_to_it_sees_as_asgi() -> None:
    with served() as here, here.client() as client:
        here.app.willing = False
        client.sendall(post(b"many"))
        assert answers(client, 1).startswith(b"HTTP/1.1 204")
        here.app.willing = True
        client.sendall(post(b"one"))
        assert answers(client, 1).startswith(b"HTTP/1.1 201")
    assert (here.app.asgi, [body for _, body in here.app.attended]) == ([b"many"], [b"one"])


@pytest.mark.parametrize(
    "request_",
    [
        post(b"x", path=b"/v1/attributions?wait=1"),
        post(b"x", path=b"/v1/feedback"),
        post(b"x", b"Expect: 100-continue"),
        post(b"x").replace(b"POST", b"PUT"),
    ],
)
def test_nothing_else_is_answered_by_a_call(request_: bytes) -> None:
    with served() as here, here.client() as client:
        client.sendall(request_)
        assert b"HTTP/1.1 204" in answers(client, 1 + (b"Expect" in request_))
    assert not here.app.attended


def test_requests_that_follow_at_once_are_answered_in_their_order() -> None:
    with served() as here, here.client() as client:
        here.app.prompt = False
        client.sendall(post(b"first") + post(b"second") + post(b"third"))
        wait_for(lambda: here.app.waiting, what="the first")
        here.app.answer(b'{"first":1}')
        received = answers(client, 3)
        assert received.index(b'{"first":1}') < received.index(b"HTTP/1.1 204")
    assert here.app.asgi == [b"second", b"third"]


@pytest.mark.parametrize(
    "request_", [post(b"x", b"Connection: close"), post(b"x").replace(b"HTTP/1.1", b"HTTP/1.0")]
)
def test_a_connection_is_closed_where_the_client_wants_it(request_: bytes) -> None:
    with served() as here, here.client() as client:
        client.sendall(request_)
        received = all_of(client)
    assert received.count(b"\r\nconnection: close\r\n") == 1
    assert received.endswith(b'{"by":"call"}')


def test_who_is_gone_is_not_answered() -> None:
    with served() as here:
        here.app.prompt = False
        with here.client() as client:
            client.sendall(post(b"x"))
            wait_for(lambda: here.app.waiting, what="the request")
            # Closed with a reset: who only closes may still read, as far as a server can know.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        wait_for(lambda: not here.server.server_state.connections, what="the end of it")
        here.app.answer()
        wait_for(lambda: not here.server.server_state.tasks, what="the end of the request")
        with here.client() as client:
            client.sendall(post(b"x"))
            wait_for(lambda: here.app.waiting, what="the request")
            here.app.answer()
            assert answers(client, 1).startswith(b"HTTP/1.1 200")


def test_a_server_that_stops_waits_for_the_answer() -> None:
    with served() as here, here.client() as client:
        here.app.prompt = False
        client.sendall(post(b"x"))
        wait_for(lambda: here.app.waiting, what="the request")
        here.server.should_exit = True
        wait_for(lambda: not here.server.servers[0].is_serving(), what="the server to stop")
        here.app.answer()
        received = all_of(client)
    assert received.startswith(b"HTTP/1.1 200")
    assert b"\r\nconnection: close\r\n" in received


def test_a_server_that_has_waited_for_long_enough_says_so_once() -> None:
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


NONSENSE = post(b"", b"Transfer-Encoding: chunked").replace(b"Content-Length: 0\r\n", b"")


@pytest.mark.parametrize("nonsense", [NONSENSE + b"no size\r\n", b"\x16\x03\x01", b"GET\r\n\r\n"])
def test_what_is_nonsense_is_answered_after_what_came_before_it(nonsense: bytes) -> None:
    with served() as here, here.client() as client:
        here.app.prompt = False
        client.sendall(post(b"x") + post(b"y") + nonsense)
        wait_for(lambda: here.app.waiting, what="the request")
        client.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.recv(1)
        client.settimeout(10)
        here.app.answer(b'{"first":1}')
        received = all_of(client)
    first, second, last = (received.index(b"HTTP/1.1 %d" % status) for status in (200, 204, 400))
    assert first < received.index(b'{"first":1}') < second < last
    assert b"application/problem+json" in received[last:]
    assert b"\r\nconnection: close\r\n" in received[last:]


def test_an_answer_to_a_connection_that_is_gone_harms_nobody() -> None:
    with served() as here, here.client() as client, here.client() as other:
        here.app.prompt = False
        client.sendall(post(b"x"))
        wait_for(lambda: here.app.waiting, what="the request")
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        other.sendall(post(b"y"))
        wait_for(lambda: len(here.app.waiting) == 2, what="the other request")
        raised: list[str] = []

        def answer(answers: list[Callable[[HttpResponse], None]]) -> None:
            for answered in answers:
                try:
                    answered(HttpResponse(b"{}"))
                except RuntimeError as error:
                    raised.append(str(error))

        assert here.app.loop is not None
        here.app.loop.call_soon_threadsafe(answer, here.app.waiting)
        assert answers(other, 1).startswith(b"HTTP/1.1 200")
        wait_for(lambda: not here.server.server_state.tasks, what="the end of the requests")
    assert not raised
