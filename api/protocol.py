"""HTTP on one connection: uvicorn's, with limits of time, and less of system calls and tasks.

A client that sends nothing, or its request a byte at a time, holds a connection for
:data:`REQUEST_S` at most. A process that stops closes no connection under a request: whoever asks
within :data:`FAREWELL_S` is answered, and told to ask the next time on another one.
"""

from __future__ import annotations

import asyncio
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from api.exchange import PATH, Attend, Exchange

#: Seconds a client has for a whole request, from its first byte or from connecting.
REQUEST_S = 30.0
#: Seconds for which a process that stops still answers on connections that idle.
FAREWELL_S = 1.0

_URL = PATH.encode()
_NO_HTTP = "Invalid HTTP request received."
_TIMEOUT = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class Protocol(HttpToolsProtocol):
    """uvicorn's protocol, with a transport that waits for the body."""

    #: Has a request begun that has not come whole; and is its head still to come?
    _coming = _head = False
    #: Has a request begun, or come whole, in the data that is being looked at?
    _moved = False
    #: Is the connection closed once what was asked is answered?
    _ending = False
    _limit: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None
    #: The body, as far as it has come, of what is answered without a task if it comes whole.
    _parts: list[bytes] | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._attend: Attend | None = getattr(self.app, "attend", None)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See :class:`asyncio.Protocol`."""
        super().connection_made(_Gathering(transport, self.loop))  # type: ignore[arg-type]
        self._limit = self.loop.call_later(REQUEST_S, self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        """See :class:`asyncio.Protocol`."""
        self._unset_limit()
        self.resume_writing()
        for cycle, _ in self.pipeline:  # uvicorn tells the newest only
            cycle.disconnected = True
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """See :class:`asyncio.Protocol`."""
        self._moved = False
        try:
            self._parse(data)
        except httptools.HttpParserError:
            self._parts = None
            self.send_400_response(_NO_HTTP)
        if self._parts is not None:  # who waits for the rest is a coroutine
            self._begin_task()
        if self._moved:
            self._unset_limit()
            if self._coming:
                self._limit = self.loop.call_later(REQUEST_S, self._too_slow)

    def pause_writing(self) -> None:
        """See :class:`asyncio.Protocol`."""
        super().pause_writing()
        self._watch_reading(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """See :class:`asyncio.Protocol`."""
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None
            super().resume_writing()

    def _watch_reading(self, left: int) -> None:
        self._unread = self.loop.call_later(REQUEST_S, self._is_read, left)

    def _is_read(self, before: int) -> None:
        """Cut off a client that has read nothing since so many bytes were left."""
        left = self.transport.get_write_buffer_size()
        if left < before:
            self._watch_reading(left)
        else:
            self.transport.abort()

    def _parse(self, data: bytes) -> None:
        """Parse, with offers of other protocols declined: such a request is answered in this one.

        The parser takes its body for the other protocol, so that all is parsed again without the
        offer. Raises ``HttpParserError``.
        """
        while True:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as offer:
                method = self.parser.get_method()
                if method == b"CONNECT":
                    raise httptools.HttpParserError(_NO_HTTP) from None
                version = self.parser.get_http_version().encode()
                kept = [b"%s: %s" % header for header in self.headers if header[0] != b"upgrade"]
                head = [b"%s %s HTTP/%s" % (method, self.url, version), *kept, b"", b""]
                data = b"\r\n".join(head) + data[offer.args[0] :]
                self.parser = httptools.HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's
            else:
                return

    def on_message_begin(self) -> None:
        """Part of httptools' protocol."""
        self._coming = self._head = self._moved = True
        self._unset_keepalive_if_required()
        self.url, self.headers, self.expect_100_continue = b"", [], False

    def on_headers_complete(self) -> None:
        """Part of httptools' protocol."""
        self._head = False
        if self.parser.should_upgrade():
            return  # it comes again
        self._parts = []
        if not self._may_be_attended():
            self._begin_task()

    def _may_be_attended(self) -> bool:
        return (
            self._attend is not None
            and self.url == _URL
            and self._answered
            and not (self._ending or self.expect_100_continue or self.flow.write_paused)
            and self.parser.get_method() == b"POST"
        )

    def _begin_task(self) -> None:
        """Have the application see to the request, with what has come of its body."""
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        parts, self._parts = self._parts or [], None
        super().on_message_begin()  # makes a scope
        self.url, self.expect_100_continue = url, expects
        self.headers.extend(headers)
        super().on_headers_complete()
        if self._ending:
            self.cycle.keep_alive = False
        for part in parts:
            super().on_body(part)

    def on_body(self, body: bytes) -> None:
        """Part of httptools' protocol."""
        if self._parts is None:
            super().on_body(body)
        else:
            self._parts.append(body)

    def on_message_complete(self) -> None:
        """Part of httptools' protocol."""
        if self.parser.should_upgrade():
            return
        self._coming, self._moved = False, True
        if self._parts is not None:
            if self._attended(b"".join(self._parts)):
                self._parts = None
                return
            self._begin_task()
        super().on_message_complete()

    def _attended(self, body: bytes) -> bool:
        """Have the message answered without a task; return whether it will be."""
        assert self._attend is not None
        keeps = self.parser.get_http_version() != "1.0" and self.parser.should_keep_alive()
        defaults, tasks = self.server_state.default_headers, self.server_state.tasks
        exchange = Exchange(self, keeps, defaults, tasks.discard)
        before, self.cycle = self.cycle, exchange  # type: ignore[assignment]
        tasks.add(exchange)  # type: ignore[arg-type]
        if self._attend(self.headers, body, exchange.answer):
            return True
        tasks.discard(exchange)
        self.cycle = before
        return False

    def on_response_complete(self) -> None:
        """Called once an answer is written."""
        super().on_response_complete()
        if self._ending and self._answered:
            self.transport.close()

    def shutdown(self) -> None:
        """Let the client ask once more; called when the process begins to stop."""
        self._ending = True
        if self.cycle is not None:
            self.cycle.keep_alive = False
        self.loop.call_later(FAREWELL_S, self._farewell)

    def _farewell(self) -> None:
        if self._answered and not (self._coming and self._head):
            self.transport.close()

    @property
    def _answered(self) -> bool:
        """Whether all requests are whose heads have come."""
        return self.cycle is None or self.cycle.response_complete

    def _unset_limit(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None

    def _too_slow(self) -> None:
        self._limit = None
        self._ending = True
        waits = [cycle for cycle, _ in self.pipeline]
        if self._answered:  # it is the head that is late, or the rest of what is answered already
            if self._head or self.cycle is None:
                self.transport.write(_TIMEOUT)
            self.transport.close()
        elif self._coming and not self._head and self.cycle in waits:
            self.pipeline.popleft()  # its turn never comes; what is before it is answered
        elif self._coming and not self._head and not self.cycle.response_started:
            self.transport.write(_TIMEOUT)
            self.transport.close()


class _Gathering:
    """A transport that sends what ends as a head does with what is written next.

    Nothing is held for longer than the present turn of the loop.
    """

    __slots__ = ("_head", "_loop", "_transport", "is_closing")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._head = b""
        self.is_closing = transport.is_closing

    def write(self, data: bytes) -> None:
        if self._head:
            self._transport.write(self._head + data)
            self._head = b""
        elif data.endswith(b"\r\n\r\n"):
            self._head = data
            self._loop.call_soon(self._flush)  # nothing follows a head alone
        else:
            self._transport.write(data)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._head:
            self._transport.write(self._head)
            self._head = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
