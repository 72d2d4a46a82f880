"""Time limits, half-closed and pipelined connections, and shutdown: bytes sent to a real server."""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from typing import Any

import pytest

from api.accelerator.http import connection, head_rules, parsing
from api.accelerator.http.head_limits import PIECE_BYTES
from monitoring.instruments.background import Failures
from tests.parts import wait_for
from tests.unit.api.accelerator.serving import (
    CHUNKED,
    LAST,
    REQUEST,
    all_of,
    application,
    check_problem,
    connect,
    echo,
    exchanged,
    served,
    slow,
)


def test_complete_request_keeps_the_connection_open() -> None:
    with served() as (_, port), connect(port) as client:
        for _ in range(3):
            client.sendall(REQUEST[:-2])
            client.sendall(REQUEST[-2:])
            assert b"connection: close" not in client.recv(4096)


@pytest.mark.parametrize("count", [1, 2, 3, 500])
def test_half_closed_client_gets_all_responses(count: int) -> None:
    assert count != 500 or count * len(REQUEST) > 4 * PIECE_BYTES
    with served(slow if count < 4 else application) as (server, port), connect(port) as client:
        client.sendall(REQUEST * count)
        client.shutdown(socket.SHUT_WR)
        assert all_of(client).count(b"HTTP/1.1 204") == count
        wait_for(lambda: not server.server_state.connections, 5, "the end of the connection")


@pytest.mark.parametrize("rest", [REQUEST[:-1], REQUEST[:20], b"\r\n"])
def test_half_closed_client_gets_the_responses_before_an_incomplete_request(rest: bytes) -> None:
    with served(slow) as (server, port), connect(port) as client:
        client.sendall(REQUEST + rest)
        client.shutdown(socket.SHUT_WR)
        assert all_of(client).count(b"HTTP/1.1 ") == 1
        wait_for(lambda: not server.server_state.connections, 5, "the end of the connection")
    with served(slow) as (server, port), connect(port) as client:
        client.sendall(rest)
        client.shutdown(socket.SHUT_WR)
        assert all_of(client) == b""


def test_pipelined_requests_wait_unparsed_for_earlier_responses() -> None:
    seen = []

    async def watching(scope: Any, receive: Any, send: Any) -> None:
        connection = next(iter(state.connections))
        seen.append((len(connection.pipeline), len(connection._unparsed)))
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
        assert answered >= count - 100  # heads that are cut in two are not counted
    assert max(waiting for waiting, _ in seen) <= PIECE_BYTES // 40
    assert max(unfed for _, unfed in seen) <= 1 << 19


def test_request_in_tiny_chunks_gets_408_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "REQUEST_S", 0.5)
    begun = time.monotonic()
    with served() as (_, port), connect(port) as client:
        client.sendall(CHUNKED)
        client.setblocking(False)
        received = b""
        while not received and time.monotonic() < begun + 5:
            try:
                client.send(b"1\r\nx\r\n")
                time.sleep(0.01)  # a small chunk at a time
                received = client.recv(4096)
            except BlockingIOError:
                continue
    check_problem(received, 408, "timeout")


def test_refused_head_request_has_no_response_body() -> None:
    received = exchanged(echo, b"HEAD / HTTP/1.1\r\n\r\n")
    assert received.startswith(b"HTTP/1.1 400")
    assert received.endswith(b"\r\n\r\n")


@pytest.mark.parametrize("whole", [True, False])
def test_time_limit_of_a_pipelined_request_starts_when_the_connection_reads_on(
    monkeypatch: pytest.MonkeyPatch, whole: bool
) -> None:
    monkeypatch.setattr(connection, "REQUEST_S", 0.2)  # less than the slow response takes
    size = 2 * PIECE_BYTES
    body = b"x" * size
    begun = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n%b" % (size, body[:10])
    rest = body[10:] if whole else body[10:-1]
    with served(slow) as (_, port), connect(port) as client:
        client.sendall(REQUEST + begun)
        client.sendall(rest)
        received = b""
        if whole:
            while received.count(b"HTTP/1.1 204") < 2 and (piece := client.recv(4096)):
                received += piece
            client.sendall(LAST)
        received += all_of(client)
    if whole:
        assert received.count(b"HTTP/1.1 204") == 3
    assert received.count(b"HTTP/1.1 408") == (0 if whole else 1)


def test_url_without_a_path_gets_400() -> None:
    received = exchanged(echo, b"GET http://a HTTP/1.1\r\nhost: a\r\n\r\n")
    check_problem(received, 400, "bad_request")


def test_defect_in_a_parser_callback_is_logged_once_and_gets_500(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(parsing, "_failures", Failures("a callback", ""))
    monkeypatch.setattr(head_rules, "check", broken)
    for _ in range(2):
        check_problem(exchanged(echo, LAST), 500, "internal_error")
    logged = [record for record in caplog.records if record.exc_info]
    assert len(logged) == 1
    assert logged[0].exc_info is not None
    assert logged[0].exc_info[0] is ZeroDivisionError


def test_reset_connection_leaves_no_timer() -> None:
    with served() as (server, port), connect(port) as client:
        client.sendall(REQUEST)
        assert client.recv(4096).startswith(b"HTTP/1.1 204")
        connection = next(iter(server.server_state.connections))
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        wait_for(lambda: not server.server_state.connections, what="the reset")
        wait_for(lambda: connection.timeout_keep_alive_task is None, 2, "the end of the timer")


@pytest.mark.parametrize(
    "sent",
    [b"", b"\r\n", b"POST", REQUEST[:-1], REQUEST + b"POST", REQUEST + REQUEST[:-1]],
)
def test_slow_request_gets_408(monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    monkeypatch.setattr(connection, "REQUEST_S", 0.3)
    with served() as (_, port), socket.create_connection(("127.0.0.1", port), 10) as client:
        client.sendall(sent)
        received = all_of(client)
    assert received.startswith(b"HTTP/1.1 204" if REQUEST in sent else b"HTTP/1.1 408")
    assert received.count(b"HTTP/1.1 408") == 1


def test_time_limit_starts_anew_with_each_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "REQUEST_S", 0.4)
    with served() as (_, port), socket.create_connection(("127.0.0.1", port), 10) as client:
        client.sendall(REQUEST[:9])
        for _ in range(10):  # the end of a request and the start of the next arrive together
            client.sendall(REQUEST[9:] + REQUEST[:9])
            assert client.recv(4096).startswith(b"HTTP/1.1 204")
            time.sleep(0.1)  # four pauses exceed the limit of one request


def test_complete_request_is_answered_before_the_incomplete_one_gets_408(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection, "REQUEST_S", 0.2)
    with served(slow) as (_, port), socket.create_connection(("127.0.0.1", port), 10) as client:
        client.sendall(REQUEST + REQUEST[:-1])
        received = all_of(client)
    assert received.startswith(b"HTTP/1.1 204")
    assert received.count(b"HTTP/1.1") == 2
    assert received.index(b"HTTP/1.1 408") > received.index(b"HTTP/1.1 204")


def test_empty_line_does_not_extend_the_keep_alive_time(monkeypatch: pytest.MonkeyPatch) -> None:
    with served() as (server, port):
        server.config.timeout_keep_alive = 1
        with socket.create_connection(("127.0.0.1", port), 10) as client:
            client.sendall(REQUEST)
            assert client.recv(4096).startswith(b"HTTP/1.1 204")
            client.sendall(b"\r\n")
            client.settimeout(5)
            assert client.recv(4096) == b""


def test_idle_connection_outlives_the_request_time_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection, "REQUEST_S", 0.2)
    with served() as (_, port), socket.create_connection(("127.0.0.1", port), 10) as client:
        for _ in range(2):
            client.sendall(REQUEST)
            assert client.recv(4096).startswith(b"HTTP/1.1 204")
            client.settimeout(0.5)
            with pytest.raises(TimeoutError):
                client.recv(1)
            client.settimeout(10)
