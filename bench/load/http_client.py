"""A small HTTP/1.1 client on asyncio. Each connection sends one request at a time."""

from __future__ import annotations

import asyncio
import json
import select
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import httptools

from bench.load.messages import Message


class Target(NamedTuple):
    """The host, port and path to which requests are sent, and the API key of the requests."""

    host: str
    port: int
    path: str
    #: The API key of the requests; empty for none.
    key: str = ""


class Request(NamedTuple):
    """A request: its bytes, ready to be sent, and its messages."""

    wire: bytes
    messages: Sequence[Message]


class Owner(Protocol):
    """The object to which a :class:`Connection` reports each response and the connection's end."""

    def finished(self, connection: Connection, request: Request, status: int, body: bytes) -> None:
        """Takes the response to ``request``.

        If the connection was closed before the response was complete, ``status`` is 0.
        """

    def lost(self, connection: Connection) -> None:
        """Takes note that ``connection`` is closed.

        If a request was unfinished, the connection calls :meth:`finished` first.
        """


def render(
    target: Target, messages: Sequence[Message], bulk: bool, deadline_ms: int | None = None
) -> bytes:
    """Returns the bytes of an HTTP request with ``messages``.

    If ``bulk`` is false, the request has only the first message. ``deadline_ms`` is the request's
    deadline in milliseconds; None for no deadline.
    """
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
    """A connection that sends one request at a time to the target."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._parser: Any = httptools.HttpResponseParser(self)
        self._body: list[bytes] = []
        self._transport: Any = None
        self._poll = select.poll()
        #: The request under way, if there is one.
        self.request: Request | None = None
        #: Monotonic time in seconds at which the request was due.
        self.due = 0.0
        #: Monotonic time in seconds at which the request was sent.
        self.left = 0.0
        #: True once the connection can send no more requests.
        self.closing = False

    def send(self, request: Request, due: float, now: float) -> None:
        """Sends ``request``, which was due at the monotonic time ``due``.

        ``now`` is the monotonic time of the sending. Later, the connection calls the owner's
        ``finished`` once: with the response, or with status 0.
        """
        self.request = request
        self.due = due
        self.left = now
        self._transport.write(request.wire)

    def is_dropped(self) -> bool:
        """Returns whether the target has closed this idle connection."""
        # If this process got no CPU time for a while, asyncio perhaps has not noticed the end yet.
        # HTTP clients usually make this check, too, before they use an idle connection again. An
        # idle connection gets no data, so it becomes readable only when it ends.
        return self._transport.is_closing() or bool(self._poll.poll(0))

    def abort(self) -> None:
        """Closes the connection at once. The owner gets status 0 for an unfinished request."""
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps the transport. Called by asyncio once the connection is open."""
        self._transport = transport
        self._poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        """Parses received bytes; closes the connection if they are not HTTP. Called by asyncio."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tells the owner that the connection is closed. Called by asyncio.

        If a request is unfinished, first gives the owner the status 0 for this request.
        """
        self.closing = True
        self._finish(0, b"")
        self._owner.lost(self)

    def on_body(self, body: bytes) -> None:
        """Keeps a piece of the response's body. Called by httptools' parser."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """Gives the whole response to the owner. Called by httptools' parser."""
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
