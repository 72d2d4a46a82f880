"""Connections that read on after their last answer: bytes sent to a real server."""

from __future__ import annotations

import contextlib
import socket
import time
from typing import Any

import pytest

from api.accelerator.http import connection, lingering, unread
from tests.parts import wait_for
from tests.unit.api.accelerator.serving import all_of, connect, early, served

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
    monkeypatch.setattr(connection, "FAREWELL_S", 0.1)
    with served(early) as (server, port), connect(port) as client:
        client.sendall(LARGE)
        assert all_of(client).startswith(b"HTTP/1.1 204")
        begun = time.monotonic()
        server.should_exit = True
        wait_for(lambda: not server.server_state.connections, 4, "the end of the connection")
        assert time.monotonic() - begun < lingering.LINGER_IDLE_S


#: More than the sockets' buffers take.
ANSWER_BYTES = 32 * 2**20


async def large(scope: Any, receive: Any, send: Any) -> None:
    """Answer with much before the body has come; write all of it at once."""
    headers = [(b"content-length", b"%d" % ANSWER_BYTES)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"x" * ANSWER_BYTES})


def lingers(count: int = 1) -> None:
    wait_for(lambda: len(lingering.Lingering.all) == count, what="connections that linger")


def read_all(client: socket.socket) -> int:
    return sum(map(len, iter(lambda: client.recv(1 << 20), b"")))


def test_a_client_that_pauses_while_it_reads_gets_all_of_its_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lingering, "LINGER_IDLE_S", 0.05)
    with served(large) as (_, port), connect(port) as client:
        client.sendall(LARGE)
        lingers()
        time.sleep(0.5)  # ten times what a silent client is allowed, but little of UNREAD_S
        assert read_all(client) > ANSWER_BYTES


def test_a_client_that_never_reads_is_cut_off_though_it_sends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lingering, "LINGER_IDLE_S", 0.5)
    monkeypatch.setattr(unread, "UNREAD_S", 1.0)
    with served(large) as (server, port), connect(port) as client:
        client.sendall(LARGE)
        lingers()

        def gone() -> bool:
            with contextlib.suppress(ConnectionError):
                client.sendall(b"x")
            return not server.server_state.connections

        wait_for(gone, 10, "the end of the connection")


def test_the_connection_that_makes_room_has_sent_its_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lingering, "LINGER_CONNECTIONS", 2)

    async def either(scope: Any, receive: Any, send: Any) -> None:
        await (large if scope["path"] == "/large" else early)(scope, receive, send)

    with served(either) as (_, port), contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connect(port)) for _ in range(3)]
        clients[0].sendall(LARGE.replace(b"/", b"/large", 1))
        lingers(1)
        clients[1].sendall(LARGE)
        lingers(2)
        clients[2].sendall(LARGE)
        assert all_of(clients[2]).startswith(b"HTTP/1.1 204")
        assert read_all(clients[0]) > ANSWER_BYTES
        for client in clients:
            client.close()


def test_a_server_that_stops_sends_the_answer_that_lingers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection, "FAREWELL_S", 0.1)
    monkeypatch.setattr(lingering, "LINGER_IDLE_S", 0.1)
    with served(large) as (server, port), connect(port) as client:
        client.sendall(LARGE)
        lingers()
        server.should_exit = True
        time.sleep(0.5)  # past the farewell
        assert read_all(client) > ANSWER_BYTES
        wait_for(lambda: not server.server_state.connections, 5, "the end of the connection")
