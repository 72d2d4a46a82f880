"""HTTP/1.1 over asyncio, as little of it as a load generator needs: one request at a time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import httptools

from bench.load.messages import Message


class Target(NamedTuple):
    """Where requests go."""

    host: str
    port: int
    path: str
    #: The API key that requests come with; empty: none.
    key: str = ""


class Request(NamedTuple):
    """A request as it goes over the wire, and the messages in it."""

    wire: bytes
    messages: Sequence[Message]


class Owner(Protocol):
    """Who is told what becomes of a connection."""

    def finished(self, connection: Connection, request: Request, status: int, body: bytes) -> None:
        """A request has its response; status 0: the connection broke first."""

    def lost(self, connection: Connection) -> None:
        """The connection is closed. Told after ``finished``."""


def render(
    target: Target, messages: Sequence[Message], bulk: bool, deadline_ms: int | None = None
) -> bytes:
    """Returns the request as it goes over the wire."""
    asked: dict[str, object] = {"text": messages[0].text}
    if bulk:
        asked = {"messages": [{"text": message.text} for message in messages]}
    if deadline_ms is not None:
        asked["deadline_ms"] = deadline_ms
    body = json.dumps(asked)
    key = f"Authorization: Bearer {target.key}\r\n" if target.key else ""
    head = (
        f"POST {target.path} HTTP/1.1\r\nHost: {target.host}:{target.port}\r\n{key}"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return (head + body).encode()  # json.dumps gives ASCII: as many bytes as characters


class Connection(asyncio.Protocol):
    """One connection to the target."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._parser: Any = httptools.HttpResponseParser(self)
        self._body: list[bytes] = []
        self._transport: Any = None
        #: Under way, if anything is. When it was due and when it left, monotonic, in seconds.
        self.request: Request | None = None
        self.due = self.left = 0.0
        #: No request can be sent any more.
        self.closing = False

    def send(self, request: Request, due: float, now: float) -> None:
        """Sends a request; the owner is told once what became of it."""
        self.request = request
        self.due = due
        self.left = now
        self._transport.write(request.wire)

    def abort(self) -> None:
        """Closes at once; a request under way counts as broken."""
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Part of asyncio's protocol."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Part of asyncio's protocol."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Part of asyncio's protocol."""
        self.closing = True
        self._finish(0, b"")
        self._owner.lost(self)

    def on_body(self, body: bytes) -> None:
        """Part of httptools' protocol."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """Part of httptools' protocol."""
        body = b"".join(self._body)
        self._body.clear()
        if not self._parser.should_keep_alive():
            self.closing = True
            self._transport.close()
        self._finish(self._parser.get_status_code(), body)

    def _finish(self, status: int, body: bytes) -> None:
        request, self.request = self.request, None
        if request is not None:
            self._owner.finished(self, request, status, body)
