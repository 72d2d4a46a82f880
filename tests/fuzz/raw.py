"""An HTTP client that sends any bytes unchanged, and parses the responses strictly."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

#: Seconds to wait for an answer that must come.
PATIENCE_S = 30.0
#: Seconds without an answer after which the client takes its request for incomplete.
SILENCE_S = 0.5
#: Seconds between the two parts of a request that must arrive separately.
A_LITTLE_S = 0.05
#: A request that is sent after any other bytes. If those bytes were complete requests, the server
#: answers this request, too, and closes the connection at once.
LAST = b"GET /healthz HTTP/1.1\r\nHost: last\r\nConnection: close\r\n\r\n"
#: A complete request that is answered with 200.
WHOLE = b"GET /healthz HTTP/1.1\r\nHost: whole\r\n\r\n"
#: Statuses of interim responses, and statuses of responses that have no body.
INTERIM, EMPTY = range(100, 200), (204, 304)

Headers = Sequence[tuple[bytes, bytes]]


class Answer(NamedTuple):
    """One response."""

    status: int
    headers: dict[str, str]
    body: bytes
    #: Whether the request was a HEAD request, whose response has no body.
    head_only: bool
    #: The request, for the message of a failing test.
    asked: bytes = b""

    @property
    def media_type(self) -> str:
        """The media type of the body, from the header Content-Type."""
        return self.headers.get("content-type", "").partition(";")[0].strip()


def request(method: bytes, target: bytes, headers: Headers = (), body: bytes = b"") -> bytes:
    """Returns the bytes of a request. It has only the given headers."""
    lines = [b"%s %s HTTP/1.1" % (method, target), *(b"%s: %s" % header for header in headers)]
    return b"\r\n".join([*lines, b"", body])


def chunked(pieces: Sequence[bytes]) -> bytes:
    """Returns a body in chunks. No piece may be empty: an empty chunk ends the body."""
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in [*pieces, b""])


class Client:
    """Sends requests on one connection, as long as the server keeps the connection open."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None
        self._received = b""

    def ask(self, data: bytes, later: bytes = b"") -> Answer:
        """Sends ``data`` and, a little later, ``later``: one request. Returns the answer."""
        connection = self._socket or self._connect(PATIENCE_S)
        connection.sendall(data)
        if later:
            time.sleep(A_LITTLE_S)  # long enough for the server to read ``data`` by itself
            connection.sendall(later)
        answer = self._read(connection, head_only=data.startswith(b"HEAD "))
        assert answer is not None, f"closed without an answer: {data!r}"
        if "close" in answer.headers.get("connection", ""):
            self.close()
        assert not self._received, f"more than one answer: {data!r} {self._received!r}"
        return answer._replace(asked=data)

    def pour(self, data: bytes) -> Iterator[Answer]:
        """Sends any bytes on a new connection, and yields all answers."""
        self.close()
        connection = self._connect(SILENCE_S)
        with contextlib.suppress(ConnectionError):
            connection.sendall(data + LAST)
            try:
                for answer in self._all(connection):
                    yield answer._replace(asked=data)
            except TimeoutError:  # the server waits for the rest of the request
                connection.settimeout(PATIENCE_S)
                connection.shutdown(socket.SHUT_WR)
                for answer in self._all(connection):
                    yield answer._replace(asked=data)
        self.close()

    def converse(self, data: bytes, step: int, ends: bool) -> list[Answer]:
        """Sends ``data`` on a new connection, in steps. Returns all answers until the end.

        ``ends``: whether the client then closes its sending side. A connection reset fails the
        test, since a reset loses answers.
        """
        self.close()
        connection = self._connect(PATIENCE_S)
        for start in range(0, len(data), step):
            connection.sendall(data[start : start + step])
        if ends:
            connection.shutdown(socket.SHUT_WR)
        answers = [answer._replace(asked=data[:2_000]) for answer in self._all(connection)]
        self.close()
        return answers

    def close(self) -> None:
        """Closes the connection. The next request opens a new connection."""
        if self._socket is not None:
            self._socket.close()
        self._socket, self._received = None, b""

    def _connect(self, patience_s: float) -> socket.socket:
        self._socket = socket.create_connection(("127.0.0.1", self._port), patience_s)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._socket

    def _all(self, connection: socket.socket) -> Iterator[Answer]:
        while (answer := self._read(connection, head_only=False)) is not None:
            yield answer

    def _read(self, connection: socket.socket, head_only: bool) -> Answer | None:
        """Returns the next answer; None if the server closed the connection after an answer."""
        while (parsed := _parse(self._received, head_only)) is None:
            more = connection.recv(1 << 16)
            if not more:
                assert not self._received, f"closed in the midst of {self._received!r}"
                return None
            self._received += more
        answer, self._received = parsed
        return self._read(connection, head_only) if answer.status in INTERIM else answer


def _parse(received: bytes, head_only: bool) -> tuple[Answer, bytes] | None:
    """Returns the first answer and the bytes after it; None if the answer is incomplete."""
    head, whole, rest = received.partition(b"\r\n\r\n")
    if not whole:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    version, status, _ = first.split(" ", 2)
    assert version == "HTTP/1.1", first
    headers = {}
    for line in lines:
        name, colon, value = line.partition(":")
        assert colon, head
        headers[name.lower()] = value.strip()
    empty = Answer(int(status), headers, b"", head_only)
    if head_only or empty.status in EMPTY or empty.status in INTERIM:
        return empty, rest
    if headers.get("transfer-encoding") == "chunked":
        body, rest, whole_body = _pieces(rest)
    else:
        length = int(headers["content-length"])
        body, rest, whole_body = rest[:length], rest[length:], len(rest) >= length
    return (empty._replace(body=body), rest) if whole_body else None


def _pieces(rest: bytes) -> tuple[bytes, bytes, bool]:
    """Returns a body that came in chunks, the bytes after it, and whether it is complete."""
    body = b""
    while True:
        size, line, rest = rest.partition(b"\r\n")
        length = int(size, 16) if line else 0
        if not line or len(rest) < length + 2:
            return body, rest, False
        body, rest = body + rest[:length], rest[length + 2 :]
        if not length:
            return body, rest, True
