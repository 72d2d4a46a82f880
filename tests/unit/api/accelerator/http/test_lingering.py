"""Connections that still read after their last response: bytes sent to a real server."""

from __future__ import annotations

import contextlib
import socket
import time
from typing import Any

import pytest

from api.accelerator.http import connection, lingering, write_timeout
from tests.parts import wait_for
from tests.unit.api.accelerator.serving import all_of, connect, early, served

BODY = b"x" * 2**20
LARGE = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % (10 * len(BODY))


def test_client_that_sends_all_before_it_reads_gets_an_early_response() -> None:
    with served(early) as (server, port), connect(port) as client:
        client.sendall(LARGE)
        for _ in range(10):
            client.sendall(BODY)
        received = all_of(client)
        assert received.startswith(b"HTTP/1.1 204")
        assert b"\r\nconnection: close\r\n" in received
        client.close()
        wait_for(lambda: not server.server_state.connections, what="the end of the connection")


def test_client_that_exceeds_the_byte_limit_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lingering, "LINGER_BYTES", 10 * len(BODY))
    with served(early) as (server, port), connect(port) as client:
        client.sendall(LARGE)
        with pytest.raises(ConnectionError):
            client.sendall(BODY * 100)
        assert not server.server_state.connections


def test_client_that_never_stops_sending_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lingering, "LINGER_S", 0.6)
    monkeypatch.setattr(lingering, "LINGER_IDLE_S", 0.3)
    with served(early) as (server, port), connect(port) as client:
        client.sendall(LARGE)

        def is_closed() -> bool:
            with contextlib.suppress(ConnectionError):
                client.sendall(b"x")
            return not server.server_state.connections

        assert all_of(client).startswith(b"HTTP/1.1 204")
        wait_for(is_closed, 10, "the end of the connection")


def test_silent_client_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lingering, "LINGER_IDLE_S", 0.2)
    with served(early) as (server, port), connect(port) as client:
        client.sendall(LARGE)
        assert all_of(client).startswith(b"HTTP/1.1 204")
        wait_for(lambda: not server.server_state.connections, 5, "the end of the connection")


def test_oldest_lingering_connection_closes_to_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lingering, "LINGER_CONNECTIONS", 3)
    clients = []
    with served(early) as (server, port):
        for _ in range(8):
            clients.append(connect(port))
            clients[-1].sendall(LARGE)
            assert all_of(clients[-1]).startswith(b"HTTP/1.1 204")
        wait_for(lambda: len(server.server_state.connections) == 3, 3, "the end of the others")
        for client in clients:
            client.close()
        wait_for(lambda: not lingering.Lingering.all, what="the end of all connections")


def test_stopping_server_closes_lingering_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "STOPPING_S", 0.1)
    with served(early) as (server, port), connect(port) as client:
        client.sendall(LARGE)
        assert all_of(client).startswith(b"HTTP/1.1 204")
        begun = time.monotonic()
        server.should_exit = True
        wait_for(lambda: not server.server_state.connections, 4, "the end of the connection")
        assert time.monotonic() - begun < lingering.LINGER_IDLE_S


#: Bytes of a response that exceeds the sockets' buffers.
RESPONSE_BYTES = 32 * 2**20


async def large(scope: Any, receive: Any, send: Any) -> None:
    """Sends a large response in one write, before the request body has arrived."""
    headers = [(b"content-length", b"%d" % RESPONSE_BYTES)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"x" * RESPONSE_BYTES})


def wait_for_lingering(count: int = 1) -> None:
    wait_for(lambda: len(lingering.Lingering.all) == count, what="lingering connections")


def read_all(client: socket.socket) -> int:
    return sum(map(len, iter(lambda: client.recv(1 << 20), b"")))


def test_client_that_pauses_while_it_reads_gets_its_whole_response(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lingering, "LINGER_IDLE_S", 0.05)
    with served(large) as (_, port), connect(port) as client:
        client.sendall(LARGE)
        wait_for_lingering()
        time.sleep(0.5)  # ten times LINGER_IDLE_S, but far less than WRITE_TIMEOUT_S
        assert read_all(client) > RESPONSE_BYTES


def test_client_that_sends_but_never_reads_is_cut_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lingering, "LINGER_IDLE_S", 0.5)
    monkeypatch.setattr(write_timeout, "WRITE_TIMEOUT_S", 1.0)
    with served(large) as (server, port), connect(port) as client:
        client.sendall(LARGE)
        wait_for_lingering()

        def is_closed() -> bool:
            with contextlib.suppress(ConnectionError):
                client.sendall(b"x")
            return not server.server_state.connections

        wait_for(is_closed, 10, "the end of the connection")


def test_connection_with_an_unsent_response_is_not_closed_to_make_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lingering, "LINGER_CONNECTIONS", 2)

    async def either(scope: Any, receive: Any, send: Any) -> None:
        await (large if scope["path"] == "/large" else early)(scope, receive, send)

    with served(either) as (_, port), contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connect(port)) for _ in range(3)]
        clients[0].sendall(LARGE.replace(b"/", b"/large", 1))
        wait_for_lingering(1)
        clients[1].sendall(LARGE)
        wait_for_lingering(2)
        clients[2].sendall(LARGE)
        assert all_of(clients[2]).startswith(b"HTTP/1.1 204")
        assert read_all(clients[0]) > RESPONSE_BYTES
        for client in clients:
            client.close()


def test_stopping_server_sends_the_rest_of_a_lingering_response(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection, "STOPPING_S", 0.1)
    monkeypatch.setattr(lingering, "LINGER_IDLE_S", 0.1)
    with served(large) as (server, port), connect(port) as client:
        client.sendall(LARGE)
        wait_for_lingering()
        server.should_exit = True
        time.sleep(0.5)  # longer than STOPPING_S
        assert read_all(client) > RESPONSE_BYTES
        wait_for(lambda: not server.server_state.connections, 5, "the end of the connection")
