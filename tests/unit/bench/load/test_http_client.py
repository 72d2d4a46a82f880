"""Tests of the load's HTTP client with all forms of HTTP/1.1 responses, over real sockets."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence

import pytest
import uvloop

from bench.load.http_client import Connection, Request

REQUEST = Request(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", [])
HEAD = b"HTTP/1.1 200 OK\r\ndate: today\r\ncontent-length: 5\r\nserver: x"
PLAIN = HEAD + b"\r\n\r\nhello"
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;a=b\r\nllo\r\n0\r\n\r\n"
)
EMPTY = b"HTTP/1.1 204 No Content\r\n\r\n"
BROKEN = (0, b"")
HELLO = (200, b"hello")

#: The segments that a server sends as the response to one request; None closes the connection.
Answer = Sequence[bytes | None]


class Owner:
    """The owner of a connection, which records the calls that it gets."""

    def __init__(self) -> None:
        self.finished_with: list[tuple[int, bytes]] = []
        self.closed = False
        self.something = asyncio.Event()

    def finished(self, connection: Connection, request: Request, status: int, body: bytes) -> None:
        assert request is REQUEST
        assert not self.closed
        self.finished_with.append((status, body))
        self.something.set()

    def lost(self, connection: Connection) -> None:
        self.closed = True
        self.something.set()


def exchange(*answers: Answer) -> tuple[list[tuple[int, bytes]], bool, bool]:
    """Sends a request for each answer, unless the connection closes.

    Returns the outcomes of the requests, whether the connection marked itself as closing, and
    whether it closed.
    """
    return uvloop.run(asyncio.wait_for(_exchange(answers), 10))


async def _exchange(answers: Sequence[Answer]) -> tuple[list[tuple[int, bytes]], bool, bool]:
    left = list(answers)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1000):
            for segment in left.pop(0) if left else ():
                if segment is None:
                    writer.close()
                    return
                writer.write(segment)
                await asyncio.sleep(0.02)  # so that each part is a separate segment

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    owner = Owner()
    _, connection = await asyncio.get_running_loop().create_connection(
        lambda: Connection(owner), *server.sockets[0].getsockname()
    )
    for answer in answers:
        owner.something.clear()
        connection.send(REQUEST, 0.0, 0.0)
        await owner.something.wait()
        await asyncio.sleep(0.03 * len(answer))  # late segments arrive meanwhile
        if connection.closing:
            break
    found = owner.finished_with, connection.closing, owner.closed
    connection.abort()
    server.close()
    return found


def test_a_response_in_one_segment_is_read() -> None:
    assert exchange([PLAIN], [PLAIN]) == ([HELLO, HELLO], False, False)


@pytest.mark.parametrize("cut", [1, 12, 40, *range(len(HEAD) + 1, len(HEAD) + 5), len(PLAIN) - 1])
def test_a_response_is_read_wherever_it_is_split(cut: int) -> None:
    assert exchange([PLAIN[:cut], PLAIN[cut:]], [PLAIN]) == ([HELLO, HELLO], False, False)


def test_a_chunked_body_is_put_together() -> None:
    cut = CHUNKED.index(b"llo")
    found = exchange([CHUNKED], [CHUNKED[:cut], CHUNKED[cut:]], [PLAIN], [CHUNKED])
    assert found == ([HELLO] * 4, False, False)


def test_a_content_length_is_ignored_where_the_body_is_chunked() -> None:
    """RFC 9112, 6.3: the client reads the chunks, or closes the connection."""
    both = CHUNKED.replace(b"\r\n\r\n2", b"\r\nContent-Length: 5\r\n\r\n2", 1)
    [(status, body)], *_ = exchange([both])
    assert (status, body) in (HELLO, BROKEN)


def test_the_last_response_of_a_connection_counts_and_nothing_is_sent_after_it() -> None:
    last = HEAD + b"\r\nConnection: Close\r\n\r\nhello"
    assert exchange([last], [PLAIN]) == ([HELLO], True, True)
    old = PLAIN.replace(b"1.1", b"1.0")
    assert exchange([old], [PLAIN]) == ([HELLO], True, True)


def test_a_keep_alive_connection_is_used_again() -> None:
    kept = HEAD + b"\r\nConnection: Keep-Alive\r\n\r\nhello"
    assert exchange([kept], [kept], [PLAIN]) == ([HELLO] * 3, False, False)


def test_a_response_without_a_body_does_not_take_bytes_of_the_next_one() -> None:
    assert exchange([EMPTY], [PLAIN]) == ([(204, b""), HELLO], False, False)


def test_an_error_response_is_read_like_any_other() -> None:
    refused = PLAIN.replace(b"200 OK", b"503 Service Unavailable")
    assert exchange([refused], [PLAIN]) == ([(503, b"hello"), HELLO], False, False)


@pytest.mark.parametrize("garbage", [b"\0\1\2\3", b"hello, I am no response\r\n\r\n"])
def test_garbage_ends_the_connection_without_a_response(garbage: bytes) -> None:
    assert exchange([garbage], [PLAIN]) == ([BROKEN], True, True)
    assert exchange([PLAIN + garbage], [PLAIN]) == ([HELLO], True, True)


def test_a_second_response_to_one_request_is_ignored() -> None:
    assert exchange([PLAIN + PLAIN], [PLAIN])[0] == [HELLO, HELLO]


def test_a_response_that_breaks_off_counts_as_broken() -> None:
    assert exchange([PLAIN[:-1], None], [PLAIN]) == ([BROKEN], True, True)
    assert exchange([None], [PLAIN]) == ([BROKEN], True, True)


def test_a_large_response_is_read() -> None:
    body = b"x" * 2**20
    large = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    assert exchange([large], [PLAIN]) == ([(200, body), HELLO], False, False)


def test_a_connection_is_dropped_as_soon_as_the_target_has_closed_it() -> None:
    """A busy process learns of the closing from asyncio only later."""

    async def look() -> tuple[bool, bool, bool]:
        with socket.create_server(("127.0.0.1", 0)) as server:
            _, connection = await asyncio.get_running_loop().create_connection(
                lambda: Connection(Owner()), *server.getsockname()
            )
            accepted, _ = server.accept()
            open_before = not connection.is_dropped()
            accepted.close()
            found = open_before, connection.closing, connection.is_dropped()
            connection.abort()
            return found

    assert uvloop.run(look()) == (True, False, True)
