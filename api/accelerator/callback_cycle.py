"""Replaces uvicorn's request cycle, the object that handles one request and its response.

The response comes from a callback, not from a coroutine. For most requests, uvicorn's asyncio task,
ASGI dictionaries and header checks would cost more CPU time than all other work on the request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from http import HTTPStatus
from typing import ClassVar, Protocol

from api.accelerator.http.lingering_transport import LingeringTransport
from api.errors import problem
from api.http_response import HttpResponse

Headers = Sequence[tuple[bytes, bytes]]
#: ``handle_fast(headers, body, on_response)`` handles a posted message. The names of the headers
#: are in lower case. The function calls ``on_response`` exactly once with the response, now or
#: later. If the request needs a coroutine, the function does nothing and returns False.
HandleFast = Callable[[Mapping[bytes, bytes], bytes, Callable[[HttpResponse], None]], bool]

#: Number of encoded response heads in the cache. A head changes each second, because it has the
#: header ``Date``. A few kinds of errors have heads of their own.
CACHED_HEADS = 64


class Connection(Protocol):
    """An HTTP connection, with the attributes and methods that a request cycle needs."""

    transport: LingeringTransport

    def on_response_complete(self) -> None:
        """Continues with the client's next request."""


class CallbackCycle:
    """A request and its response. Takes the place of uvicorn's request cycle and asyncio task."""

    __slots__ = ("_connection", "_default_headers", "_on_done", "disconnected", "keep_alive")

    #: uvicorn sets this event to wake an application. Here, no application waits for the event.
    message_event: ClassVar[asyncio.Event] = asyncio.Event()

    def __init__(
        self,
        connection: Connection,
        keep_alive: bool,
        default_headers: Headers,
        on_done: Callable[[CallbackCycle], None],
    ) -> None:
        """Starts a cycle. The cycle adds ``default_headers`` to its response.

        When the response is ready, the cycle calls ``on_done(cycle)``, and then writes the
        response.
        """
        self._connection: Connection | None = connection
        self._default_headers = default_headers
        self._on_done = on_done
        self.keep_alive = keep_alive
        self.disconnected = False

    @property
    def response_complete(self) -> bool:
        """Whether :meth:`respond` was called."""
        return self._connection is None

    #: The cycle writes a response in one piece, so the start and the end are the same.
    response_started = response_complete

    def respond(self, response: HttpResponse) -> None:
        """Writes the response. Only the first call writes, and only to a connected client."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        self._on_done(self)
        if self.disconnected or connection.transport.is_closing():
            return
        connection.transport.write(encode(response, self._default_headers, self.keep_alive))
        if not self.keep_alive:
            connection.transport.close()
        connection.on_response_complete()

    def cancel(self, msg: object = None) -> None:
        """Responds with the error ``no_answer``; called by uvicorn when the process must stop."""
        error = problem("no_answer", "this process stops; the message may be sent again")
        # uvicorn iterates over its tasks now, and respond() removes this cycle from them.
        asyncio.get_running_loop().call_soon(self.respond, error)


def encode(
    response: HttpResponse, default_headers: Headers, keep_alive: bool, head_only: bool = False
) -> bytes:
    """Returns a response in the format of HTTP/1.1, without its body if ``head_only`` is True.

    The ``default_headers`` come before the response's own headers.
    """
    head = _head(response.status, response.mimetype, response.headers, tuple(default_headers))
    ending = b"" if keep_alive else b"connection: close\r\n"
    if response.request_id:
        ending = b"x-request-id: %b\r\n%b" % (response.request_id.encode(), ending)
    body = b"" if head_only else response.body
    return b"%b%d\r\n%b\r\n%b" % (head, len(response.body), ending, body)


@lru_cache(CACHED_HEADS)
def _head(
    status: int,
    mimetype: str,
    headers: tuple[tuple[str, str], ...],
    default_headers: tuple[tuple[bytes, bytes], ...],
) -> bytes:
    """Returns a response's head up to ``content-length: ``. :func:`encode` adds the length."""
    own = HttpResponse(b"", status, mimetype, headers).asgi_headers()
    fields = [*default_headers, *(field for field in own if field[0] != b"content-length")]
    lines = [b"%b: %b\r\n" % field for field in fields]
    first = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n".encode()
    return b"".join((first, *lines, b"content-length: "))
