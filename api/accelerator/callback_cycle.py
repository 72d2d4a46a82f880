"""A request that is answered by a call, and not by a coroutine of its own.

Nearly every request is a message to attribute that came whole. What a task, ASGI's dictionaries and
its checks of each header cost is more than all else that is done for it here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from http import HTTPStatus
from typing import ClassVar, Protocol

from api.accelerator.http.transport import Gathering
from api.errors import problem
from api.http_response import HttpResponse

Headers = Sequence[tuple[bytes, bytes]]
#: ``handle_fast(headers, body, answered)`` answers a message that was posted, sooner or later. The
#: headers' names are in lower case. Returns False where that takes a coroutine: then nothing was
#: done.
HandleFast = Callable[[Mapping[bytes, bytes], bytes, Callable[[HttpResponse], None]], bool]

#: Answers' heads that are kept but for their length: one for each second that a ``Date`` lasts, and
#: a few for errors.
HEADS = 64


class Connection(Protocol):
    """The connection as an exchange sees it."""

    transport: Gathering

    def on_response_complete(self) -> None:
        """Go on with the next request."""


class CallbackCycle:
    """One request and its answer. uvicorn takes it for its own cycle, and for a task of it."""

    __slots__ = ("_connection", "_defaults", "_over", "disconnected", "keep_alive")

    #: uvicorn wakes the application with it; here nobody waits.
    message_event: ClassVar[asyncio.Event] = asyncio.Event()

    def __init__(
        self,
        connection: Connection,
        keep_alive: bool,
        defaults: Headers,
        over: Callable[[CallbackCycle], None],
    ) -> None:
        """``defaults`` are headers of each answer; ``over`` is told once it is written."""
        self._connection: Connection | None = connection
        self._defaults = defaults
        self._over = over
        self.keep_alive = keep_alive
        self.disconnected = False

    @property
    def response_complete(self) -> bool:
        """Whether it is answered."""
        return self._connection is None

    #: An answer is written in one piece.
    response_started = response_complete

    def answer(self, given: HttpResponse) -> None:
        """Write the answer, unless there is one already or nobody to read it."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        self._over(self)
        if self.disconnected or connection.transport.is_closing():
            return
        connection.transport.write(encode(given, self._defaults, self.keep_alive))
        if not self.keep_alive:
            connection.transport.close()
        connection.on_response_complete()

    def cancel(self, msg: object = None) -> None:
        """Give up: the process stops, and has waited for long enough. uvicorn calls it."""
        gone = problem("no_answer", "this process stops; the message may be sent again")
        asyncio.get_running_loop().call_soon(self.answer, gone)  # uvicorn goes through its tasks


def encode(
    given: HttpResponse, defaults: Headers, keep_alive: bool, head_only: bool = False
) -> bytes:
    """Return an answer as it goes over the wire. ``defaults`` are headers of each answer."""
    head = _head(given.status, given.mimetype, given.headers, tuple(defaults))
    ending = b"" if keep_alive else b"connection: close\r\n"
    if given.request_id:
        ending = b"x-request-id: %b\r\n%b" % (given.request_id.encode(), ending)
    body = b"" if head_only else given.body
    return b"%b%d\r\n%b\r\n%b" % (head, len(given.body), ending, body)


@lru_cache(HEADS)
def _head(
    status: int,
    mimetype: str,
    headers: tuple[tuple[str, str], ...],
    defaults: tuple[tuple[bytes, bytes], ...],
) -> bytes:
    """Return an answer's head, up to its length."""
    given = HttpResponse(b"", status, mimetype, headers).asgi()
    fields = [*defaults, *(field for field in given if field[0] != b"content-length")]
    lines = [b"%b: %b\r\n" % field for field in fields]
    first = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n".encode()
    return b"".join((first, *lines, b"content-length: "))
