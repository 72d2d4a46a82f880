"""Time limit for clients that do not read: bytes sent to a real server."""

from __future__ import annotations

import socket
import time

import pytest

from api.accelerator.http import write_timeout
from tests.parts import wait_for
from tests.unit.api.accelerator.serving import REQUEST, long, served


def test_client_that_reads_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write_timeout, "WRITE_TIMEOUT_S", 0.3)
    with served(long) as (server, port), socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(REQUEST)
        wait_for(lambda: server.server_state.connections, what="the connection")
        wait_for(lambda: not server.server_state.connections, 5, "the end of the connection")


def test_client_that_reads_slowly_is_not_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write_timeout, "WRITE_TIMEOUT_S", 1.0)
    with served(long) as (_, port), socket.create_connection(("127.0.0.1", port), 10) as client:
        client.sendall(REQUEST)
        until, read = time.monotonic() + 3, 0
        while time.monotonic() < until:
            piece = client.recv(2**19)
            assert piece, f"cut off after {read:,} bytes"
            read += len(piece)
            time.sleep(0.05)  # the client reads, but slowly
        assert read < 100 * 2**20, "the client was not slow enough"
