"""Tests of idle connections: a server closes them as it stops and after the keep-alive time."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

import pytest

from api.accelerator.fast_protocol import FastHttpProtocol
from api.accelerator.http import connection
from tests.parts import wait_for
from tests.unit.api.accelerator.serving import REQUEST, all_of, connect, early, served

BUSY = b"busy"


class BusyProtocol(FastHttpProtocol):
    """Keeps the event loop busy, from the arrival of ``BUSY`` until a test sets ``over``."""

    begun: ClassVar[threading.Event]
    over: ClassVar[threading.Event]

    def data_received(self, data: bytes) -> None:
        """Waits if the data is ``BUSY``. The loop runs due timers before it reads more data."""
        if data != BUSY:
            super().data_received(data)
            return
        self.begun.set()
        self.over.wait(10)


class SlowToCloseProtocol(FastHttpProtocol):
    """Keeps the event loop busy before it closes a connection's socket, until ``over`` is set."""

    over: ClassVar[threading.Event]

    def connection_lost(self, exc: Exception | None) -> None:
        """Waits. The event loop closes the socket only after this method."""
        super().connection_lost(exc)
        self.over.wait(10)


@contextmanager
def busy_loop(other: socket.socket, seconds: float) -> Iterator[None]:
    """Keeps the server's loop busy from now until ``seconds`` after the ``with`` block.

    ``other`` is a connection to the server.
    """
    BusyProtocol.begun, BusyProtocol.over = threading.Event(), threading.Event()
    other.sendall(BUSY)
    assert BusyProtocol.begun.wait(10)
    yield
    time.sleep(seconds)  # meanwhile, the timer that closes an idle connection becomes due
    BusyProtocol.over.set()


def test_stopping_server_answers_one_more_request_per_connection() -> None:
    with served() as (server, port), socket.create_connection(("127.0.0.1", port), 10) as client:
        client.sendall(REQUEST)
        assert b"connection: close" not in client.recv(4096)
        server.should_exit = True
        wait_for(lambda: not server.servers[0].is_serving(), what="the server to stop listening")
        client.sendall(REQUEST)
        assert b"connection: close" in all_of(client)


def test_stopping_server_does_not_wait_for_the_rest_of_an_answered_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection, "STOPPING_S", 0.2)
    with served(early) as (server, port), socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(REQUEST[:-1])
        assert client.recv(4096).startswith(b"HTTP/1.1 204")
        server.should_exit = True
        client.settimeout(5)
        assert client.recv(4096) == b""


def test_stopping_server_closes_idle_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "STOPPING_S", 0.2)
    with served() as (server, port), socket.create_connection(("127.0.0.1", port), 10) as client:
        client.sendall(REQUEST)
        client.recv(4096)
        server.should_exit = True
        assert all_of(client) == b""


@pytest.mark.parametrize("stops", [True, False], ids=["stop", "keep-alive time"])
def test_client_sees_the_end_before_a_busy_loop_closes_the_socket(
    monkeypatch: pytest.MonkeyPatch, stops: bool
) -> None:
    """Otherwise the client would send another request, and nobody would read it."""
    monkeypatch.setattr(connection, "STOPPING_S", 0.2)
    SlowToCloseProtocol.over = threading.Event()
    with served(protocol=SlowToCloseProtocol) as (server, port):
        # Before the client connects: a connection reads this time when it opens.
        server.config.timeout_keep_alive = 1
        with connect(port) as client:
            client.sendall(REQUEST)
            client.recv(4096)
            server.should_exit = stops
            client.settimeout(5)
            try:
                assert client.recv(4096) == b""
            finally:
                SlowToCloseProtocol.over.set()


def test_stopping_busy_server_answers_a_request_that_arrived_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection, "STOPPING_S", 0.5)
    with (
        served(protocol=BusyProtocol) as (server, port),
        connect(port) as client,
        connect(port) as other,
    ):
        client.sendall(REQUEST)
        client.recv(4096)
        server.should_exit = True
        wait_for(lambda: not server.servers[0].is_serving(), what="the server to stop")
        with busy_loop(other, 0.6):
            client.sendall(REQUEST)
        received = all_of(client)
    assert received.startswith(b"HTTP/1.1 204")
    assert b"connection: close" in received


def test_busy_server_answers_a_request_that_arrived_within_the_keep_alive_time() -> None:
    with served(protocol=BusyProtocol) as (server, port):
        server.config.timeout_keep_alive = 1
        with connect(port) as client, connect(port) as other:
            client.sendall(REQUEST)
            client.recv(4096)
            with busy_loop(other, 1.1):
                client.sendall(REQUEST)
            assert client.recv(4096).startswith(b"HTTP/1.1 204")


def test_unread_bytes_without_a_request_do_not_keep_a_connection_open() -> None:
    with served(protocol=BusyProtocol) as (server, port):
        server.config.timeout_keep_alive = 1
        with connect(port) as client, connect(port) as other:
            client.sendall(REQUEST)
            client.recv(4096)
            with busy_loop(other, 1.1):
                client.sendall(b"\r\n")
            client.settimeout(5)
            assert client.recv(4096) == b""


def test_stopping_server_closes_a_connection_with_unread_bytes_without_a_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection, "STOPPING_S", 0.5)
    with (
        served(protocol=BusyProtocol) as (server, port),
        connect(port) as client,
        connect(port) as other,
    ):
        client.sendall(REQUEST)
        client.recv(4096)
        server.should_exit = True
        wait_for(lambda: not server.servers[0].is_serving(), what="the server to stop")
        with busy_loop(other, 0.6):
            client.sendall(b"\r\n")
        client.settimeout(3)  # less than the keep-alive time of 5 s
        assert all_of(client) == b""
