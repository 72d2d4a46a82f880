"""Limits, early answers, half-closed and pipelined connections: bytes sent to a real server."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Sequence
from typing import Any

import pytest

from api import http_connection, lingering
from api.head_limits import MAX_FIELDS, MAX_FRAMING_BYTES, MAX_HEAD_BYTES, PIECE_BYTES
from tests.parts import wait_for
from tests.unit.api.serving import REQUEST, all_of, application, early, served, slow

LAST = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
HEADERS = "headers_too_large"
CHUNKED = b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"


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


def exchanged(app: Any, data: bytes, step: int = 1 << 30) -> bytes:
    """Return all that is answered to ``data``, sent in steps, until the connection is closed."""
    with served(app) as (_, port), connect(port) as client:
        for start in range(0, len(data), step):
            client.sendall(data[start : start + step])
        return all_of(client)


def head(fields: Sequence[bytes], url: bytes = b"/") -> bytes:
    return b"\r\n".join([b"GET %b HTTP/1.1" % url, b"host: a", *fields, b"", b""])


def check_problem(received: bytes, status: int, code: str) -> None:
    """See that the answer is one problem document, and the last on its connection."""
    top, _, body = received.partition(b"\r\n\r\n")
    lines = top.split(b"\r\n")
    assert lines[0].startswith(b"HTTP/1.1 %d " % status), received[:300]
    assert b"content-type: application/problem+json" in lines
    assert b"connection: close" in lines
    assert json.loads(body)["code"] == code


def of_size(size: int) -> bytes:
    """Return a head of one URL and two fields that counts as so many bytes."""
    return head([b"x: " + b"y" * (size - len("/") - len("hosta") - len("x") - 8)])


@pytest.mark.parametrize("step", [500, 5000, 1 << 20])
def test_a_head_of_the_limit_is_taken_and_one_byte_more_is_not(step: int) -> None:
    taken = exchanged(echo, of_size(MAX_HEAD_BYTES) + LAST, step)
    assert taken.count(b"HTTP/1.1 200") == 2
    check_problem(exchanged(echo, of_size(MAX_HEAD_BYTES + 1) + LAST, step), 431, HEADERS)


@pytest.mark.parametrize("step", [500, 1 << 20])
def test_as_many_fields_as_may_be_are_taken_and_one_more_is_not(step: int) -> None:
    fields = [b"a%d: b" % number for number in range(MAX_FIELDS)]
    taken = exchanged(echo, head(fields[1:]) + LAST, step)
    assert b"%d headers" % MAX_FIELDS in taken
    check_problem(exchanged(echo, head(fields) + LAST, step), 431, HEADERS)


@pytest.mark.parametrize(
    ("begin", "more"),
    [
        (b"GET / HTTP/1.1\r\nhost: a\r\nx: ", b"y"),
        (b"GET / HTTP/1.1\r\nhost: a\r\nx:", b" "),
        (b"GET / HTTP/1.1\r\nhost: a\r\n", b"a:\r\n"),
        (b"GET / HTTP/1.1\r\nhost: a\r\n", b"x"),
        (b"GET /", b"y"),
        (b"", b"\r\n"),
        (CHUNKED + b"1;", b"x"),
        (CHUNKED + b"1", b" "),
        (CHUNKED + b"1\r\nx\r\n0\r\n", b"a: b\r\n"),
        (CHUNKED + b"1\r\nx\r\n0\r\na: ", b"b"),
    ],
)
def test_what_never_ends_is_refused_before_it_has_come(begin: bytes, more: bytes) -> None:
    step = more * (1000 // len(more))
    with served(echo) as (_, port), connect(port) as client:
        client.sendall(begin)
        client.setblocking(False)
        sent, received = 0, b""
        until = time.monotonic() + 20
        while not received and sent < 3 * MAX_HEAD_BYTES and time.monotonic() < until:
            try:
                sent += client.send(step)
                received = client.recv(1 << 16)
            except BlockingIOError:
                time.sleep(0.002)  # so that the server sees that it comes bit by bit
        client.setblocking(True)
        client.settimeout(10)
        received += all_of(client)
    assert sent < 3 * MAX_HEAD_BYTES
    if more == b" " and begin.startswith(CHUNKED):
        check_problem(received, 400, "bad_request")  # no space may be there at all
    else:
        check_problem(received, 431, HEADERS)


def test_each_request_is_counted_anew() -> None:
    data = of_size(MAX_HEAD_BYTES - 10) * 3 + LAST
    assert exchanged(echo, data, 3000).count(b"HTTP/1.1 200") == 4


@pytest.mark.parametrize("step", [7000, 1 << 20])
def test_small_chunks_are_no_excess(step: int) -> None:
    body = b"1;a=b\r\nx\r\n" * 10_000 + b"0\r\na: b\r\n\r\n"
    received = exchanged(echo, CHUNKED + body + LAST, step)
    assert b"2 headers, 10000 bytes" in received
    assert b"2 headers, 0 bytes" in received


def test_chunk_sizes_are_counted_together() -> None:
    chunk = b"1;" + b"x" * 1000 + b"\r\ny\r\n"
    check_problem(exchanged(application, CHUNKED + chunk * 100), 431, HEADERS)
    few = chunk * (MAX_FRAMING_BYTES // 1100)
    assert b"HTTP/1.1 204" in exchanged(application, CHUNKED + few + b"0\r\n\r\n" + LAST)


def test_trailers_are_ignored() -> None:
    trailers = b"0\r\nauthorization: x\r\nhost: b\r\ncontent-type: c\r\nlast: d\r\n\r\n"
    received = exchanged(echo, CHUNKED + b"2\r\n{}\r\n" + trailers + LAST)
    assert b"2 headers, 2 bytes" in received  # as before the body
    assert b"2 headers, 0 bytes" in received  # nor are they the next request's


def test_many_trailers_are_refused() -> None:
    few, many = (b"0\r\n" + b"a:\r\n" * number + b"\r\n" for number in (MAX_FIELDS, MAX_FIELDS + 1))
    assert exchanged(echo, CHUNKED + few + LAST).count(b"HTTP/1.1 200") == 2
    check_problem(exchanged(echo, CHUNKED + many + LAST), 431, HEADERS)


BODY = b"x" * 2**20
LARGE = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % (10 * len(BODY))


def test_who_sends_all_before_reading_gets_an_early_answer() -> None:
    with served(early) as (server, port), connect(port) as client:
        client.sendall(LARGE)
        for _ in range(10):
            client.sendall(BODY)
        received = all_of(client)
        assert received.startswith(b"HTTP/1.1 204")
        assert b"\r\nconnection: close\r\n" in received
        client.close()
        wait_for(lambda: not server.server_state.connections, what="the end of the connection")


def test_who_has_sent_all_keeps_the_connection() -> None:
    with served() as (_, port), connect(port) as client:
        for _ in range(3):
            client.sendall(REQUEST[:-2])
            client.sendall(REQUEST[-2:])
            assert b"connection: close" not in client.recv(4096)


def test_who_sends_without_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lingering, "LINGER_BYTES", 10 * len(BODY))
    with served(early) as (server, port), connect(port) as client:
        client.sendall(LARGE)
        with pytest.raises(ConnectionError):
            client.sendall(BODY * 100)
        assert not server.server_state.connections


def test_who_sends_for_ever_is_cut_off_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lingering, "LINGER_S", 0.6)
    monkeypatch.setattr(lingering, "LINGER_IDLE_S", 0.3)
    with served(early) as (server, port), connect(port) as client:
        client.sendall(LARGE)

        def gone() -> bool:
            with contextlib.suppress(ConnectionError):
                client.sendall(b"x")
            return not server.server_state.connections

        assert all_of(client).startswith(b"HTTP/1.1 204")
        wait_for(gone, 10, "the end of the connection")


def test_who_neither_sends_nor_closes_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lingering, "LINGER_IDLE_S", 0.2)
    with served(early) as (server, port), connect(port) as client:
        client.sendall(LARGE)
        assert all_of(client).startswith(b"HTTP/1.1 204")
        wait_for(lambda: not server.server_state.connections, 5, "the end of the connection")


def test_no_more_linger_than_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lingering, "LINGER_CONNECTIONS", 3)
    clients = []
    with served(early) as (server, port):
        for _ in range(8):
            clients.append(connect(port))
            clients[-1].sendall(LARGE)
            assert all_of(clients[-1]).startswith(b"HTTP/1.1 204")
        wait_for(lambda: len(server.server_state.connections) == 3, 3, "the others to be closed")
        for client in clients:
            client.close()
        wait_for(lambda: not lingering.Lingering.all, what="the end of all")


def test_a_server_that_stops_does_not_wait_for_who_lingers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_connection, "FAREWELL_S", 0.1)
    with served(early) as (server, port), connect(port) as client:
        client.sendall(LARGE)
        assert all_of(client).startswith(b"HTTP/1.1 204")
        begun = time.monotonic()
        server.should_exit = True
        wait_for(lambda: not server.server_state.connections, 4, "the end of the connection")
        assert time.monotonic() - begun < lingering.LINGER_IDLE_S


@pytest.mark.parametrize("count", [1, 2, 3, 500])
def test_who_sends_no_more_gets_all_answers(count: int) -> None:
    assert count != 500 or count * len(REQUEST) > 4 * PIECE_BYTES
    with served(slow if count < 4 else application) as (server, port), connect(port) as client:
        client.sendall(REQUEST * count)
        client.shutdown(socket.SHUT_WR)
        assert all_of(client).count(b"HTTP/1.1 204") == count
        wait_for(lambda: not server.server_state.connections, 5, "the end of the connection")


@pytest.mark.parametrize("rest", [REQUEST[:-1], REQUEST[:20], b"\r\n"])
def test_who_sends_no_more_in_the_midst_of_a_request_gets_the_answers_before(rest: bytes) -> None:
    with served(slow) as (server, port), connect(port) as client:
        client.sendall(REQUEST + rest)
        client.shutdown(socket.SHUT_WR)
        assert all_of(client).count(b"HTTP/1.1 ") == 1
        wait_for(lambda: not server.server_state.connections, 5, "the end of the connection")
    with served(slow) as (server, port), connect(port) as client:
        client.sendall(rest)
        client.shutdown(socket.SHUT_WR)
        assert all_of(client) == b""


def test_requests_wait_unparsed_for_those_before_them() -> None:
    seen = []

    async def watching(scope: Any, receive: Any, send: Any) -> None:
        connection = next(iter(state.connections))
        seen.append((len(connection.pipeline), len(connection._unfed)))
        await application(scope, receive, send)

    count = 12_000
    with served(watching) as (server, port), connect(port) as client:
        state = server.server_state
        client.setblocking(False)
        left, answered, until = LAST.replace(b"close", b"x") * count, 0, time.monotonic() + 60
        while answered < count and time.monotonic() < until:
            with contextlib.suppress(BlockingIOError):
                left = left[client.send(left[: 1 << 18]) :] if left else left
            with contextlib.suppress(BlockingIOError):
                answered += client.recv(1 << 18).count(b"HTTP/1.1 204")
        assert answered >= count - 100  # a head may be cut in two where it is counted
    assert max(waiting for waiting, _ in seen) <= PIECE_BYTES // 40
    assert max(unfed for _, unfed in seen) <= 1 << 19


def test_a_request_that_dribbles_in_ends_in_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_connection, "REQUEST_S", 0.5)
    begun = time.monotonic()
    with served() as (_, port), connect(port) as client:
        client.sendall(CHUNKED)
        client.setblocking(False)
        received = b""
        while not received and time.monotonic() < begun + 5:
            try:
                client.send(b"1\r\nx\r\n")
                time.sleep(0.01)  # a byte at a time
                received = client.recv(4096)
            except BlockingIOError:
                continue
    check_problem(received, 408, "timeout")


def test_a_head_request_is_refused_without_a_body() -> None:
    received = exchanged(echo, b"HEAD / HTTP/1.1\r\n\r\n")
    assert received.startswith(b"HTTP/1.1 400")
    assert received.endswith(b"\r\n\r\n")
