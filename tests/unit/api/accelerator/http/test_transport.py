"""What uvicorn writes, and what of it becomes a system call."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest

from api.accelerator.http import connection, unread
from api.accelerator.http.transport import Gathering
from tests.parts import wait_for
from tests.unit.api.accelerator.serving import REQUEST, all_of, early, long, served, slow

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"


class Transport:
    def __init__(self) -> None:
        self.calls: list[bytes | str] = []

    def write(self, data: bytes) -> None:
        self.calls.append(data)

    def close(self) -> None:
        self.calls.append("close")

    def is_closing(self) -> bool:
        return "close" in self.calls

    def get_extra_info(self, name: str) -> str:
        return name


def calls(*steps: str | bytes) -> list[bytes | str]:
    async def run() -> list[bytes | str]:
        transport = Transport()
        gathering = Gathering(transport, asyncio.get_running_loop())  # type: ignore[arg-type]
        gathering.at_eof = True  # it closes at once
        for step in steps:
            if step == "turn":
                await asyncio.sleep(0)
            elif step == "close":
                gathering.close()
            else:
                gathering.write(step)
        await asyncio.sleep(0)
        return transport.calls

    return asyncio.run(run())


def test_a_short_answer_is_one_write() -> None:
    assert calls(HEAD, b"{}", HEAD, b"[]") == [HEAD + b"{}", HEAD + b"[]"]


def test_a_head_alone_is_sent_in_the_same_turn() -> None:
    assert calls(HEAD, "turn", b"late") == [HEAD, b"late"]


def test_what_is_closed_is_sent_first() -> None:
    assert calls(HEAD, "close") == [HEAD, "close"]


def test_the_rest_is_the_transports() -> None:
    async def run() -> None:
        gathering = Gathering(Transport(), asyncio.get_running_loop())  # type: ignore[arg-type]
        assert gathering.get_extra_info("peername") == "peername"
        assert not gathering.is_closing()

    asyncio.run(run())


@pytest.mark.parametrize(
    "sent",
    [b"", b"\r\n", b"POST", REQUEST[:-1], REQUEST + b"POST", REQUEST + REQUEST[:-1]],
)
def test_who_takes_too_long_over_a_request_is_told_so(
    monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(connection, "REQUEST_S", 0.3)
    with served() as (_, port), socket.create_connection(("127.0.0.1", port), 10) as client:
        client.sendall(sent)
        received = all_of(client)
    assert received.startswith(b"HTTP/1.1 204" if REQUEST in sent else b"HTTP/1.1 408")
    assert received.count(b"HTTP/1.1 408") == 1


def test_each_request_has_its_own_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "REQUEST_S", 0.4)
    with served() as (_, port), socket.create_connection(("127.0.0.1", port), 10) as client:
        client.sendall(REQUEST[:9])
        for _ in range(10):  # each ends, and the next begins, in one piece
            client.sendall(REQUEST[9:] + REQUEST[:9])
            assert client.recv(4096).startswith(b"HTTP/1.1 204")
            time.sleep(0.1)  # a client that takes its time, but not too much


def test_what_was_whole_is_answered_before_what_is_not_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection, "REQUEST_S", 0.2)
    with served(slow) as (_, port), socket.create_connection(("127.0.0.1", port), 10) as client:
        client.sendall(REQUEST + REQUEST[:-1])
        received = all_of(client)
    assert received.startswith(b"HTTP/1.1 204")
    assert received.count(b"HTTP/1.1") == 2
    assert received.index(b"HTTP/1.1 408") > received.index(b"HTTP/1.1 204")


def test_who_reads_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unread, "UNREAD_S", 0.3)
    with served(long) as (server, port), socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(REQUEST)
        wait_for(lambda: server.server_state.connections, what="the connection")
        wait_for(lambda: not server.server_state.connections, 5, "its end")


def test_who_reads_slowly_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unread, "UNREAD_S", 1.0)
    with served(long) as (_, port), socket.create_connection(("127.0.0.1", port), 10) as client:
        client.sendall(REQUEST)
        until, read = time.monotonic() + 3, 0
        while time.monotonic() < until:
            piece = client.recv(2**19)
            assert piece, f"cut off after {read:,} bytes"
            read += len(piece)
            time.sleep(0.05)  # a slow client, but one that reads
        assert read < 100 * 2**20, "it was not slow enough"


def test_an_empty_line_is_no_request(monkeypatch: pytest.MonkeyPatch) -> None:
    with served() as (server, port):
        server.config.timeout_keep_alive = 1
        with socket.create_connection(("127.0.0.1", port), 10) as client:
            client.sendall(REQUEST)
            assert client.recv(4096).startswith(b"HTTP/1.1 204")
            client.sendall(b"\r\n")
            client.settimeout(5)
            assert client.recv(4096) == b""


def test_a_connection_may_idle_for_longer_than_a_request_may_take(
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


def test_a_server_that_stops_answers_once_more_on_each_connection() -> None:
    with served() as (server, port), socket.create_connection(("127.0.0.1", port), 10) as client:
        client.sendall(REQUEST)
        assert b"connection: close" not in client.recv(4096)
        server.should_exit = True
        wait_for(lambda: not server.servers[0].is_serving(), what="the server to stop listening")
        client.sendall(REQUEST)
        assert b"connection: close" in all_of(client)


def test_a_server_that_stops_does_not_wait_for_the_rest_of_what_is_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection, "FAREWELL_S", 0.2)
    with served(early) as (server, port), socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(REQUEST[:-1])
        assert client.recv(4096).startswith(b"HTTP/1.1 204")
        server.should_exit = True
        client.settimeout(5)
        assert client.recv(4096) == b""


def test_a_server_that_stops_closes_what_idles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "FAREWELL_S", 0.2)
    with served() as (server, port), socket.create_connection(("127.0.0.1", port), 10) as client:
        client.sendall(REQUEST)
        client.recv(4096)
        server.should_exit = True
        assert all_of(client) == b""
