"""HTTP on one connection: uvicorn's, with limits of time and size.

A client that sends nothing, or its request a byte at a time, holds a connection for
:data:`REQUEST_S` at most. A process that stops closes no connection under a request: whoever asks
within :data:`FAREWELL_S` is answered, and told to ask the next time on another one.

What can't be understood is answered with a problem document, after all that came whole before it,
and ends the connection. So does an answer that is given before its request has come whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from api.accelerator.callback_cycle import encode
from api.accelerator.http import head_rules
from api.accelerator.http.errors import Timeout
from api.accelerator.http.flow import HeldFlow
from api.accelerator.http.head_limits import MAX_FIELDS, PIECE_BYTES, FramingCounter, check_head
from api.accelerator.http.parsing import ParsingConnection, reason
from api.accelerator.http.transport import Gathering
from api.errors import problem_of
from tasks.errors import BylineError

#: Seconds a client has for a whole request, from its first byte or from connecting.
REQUEST_S = 30.0
#: Seconds for which a process that stops still answers on connections that idle.
FAREWELL_S = 1.0

_TOO_SLOW = f"the request has not come whole within {REQUEST_S:g} seconds"


class HttpConnection(ParsingConnection):
    """uvicorn's protocol, with a transport that waits for the body, and limits."""

    transport: Gathering  # type: ignore[assignment]
    flow: HeldFlow

    #: Was the application told of the request that is coming?
    _begun = False
    #: Has a request begun, or come whole, in the data that is being looked at?
    _moved = False
    #: Requests that the application was told of and that are not answered.
    _unanswered = 0
    #: Data that waits until what came before it is answered.
    _unfed = b""
    #: Is the parser at work? It may not be called from within itself.
    _parsing = False
    #: Is the connection closed once what was asked is answered?
    _ending = False
    #: The last answer, to what could not be understood.
    _refusal = b""
    #: Of the request whose head came last.
    _fields: dict[bytes, bytes]
    #: Is the connection kept after the answer, if the request comes whole before?
    _keeps = False
    _limit: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See :class:`asyncio.Protocol`."""
        super().connection_made(Gathering(transport, self.loop))  # type: ignore[arg-type]
        self.flow = HeldFlow(self.transport)  # type: ignore[arg-type]
        self._limit = self.loop.call_later(REQUEST_S, self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        """See :class:`asyncio.Protocol`."""
        self._unset_limit()
        self._unset_keepalive_if_required()  # uvicorn keeps it after a reset
        self.resume_writing()
        for cycle, _ in self.pipeline:  # uvicorn tells the newest only
            cycle.disconnected = True
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """See :class:`asyncio.Protocol`."""
        if self._unfed:
            self._unfed += data
        elif not self._refusal:
            self._feed(data)

    def _feed(self, data: bytes) -> None:
        """Parse data, up to where a request has to wait for the one before it."""
        self._moved = False
        self._parsing = True
        try:
            if len(data) <= PIECE_BYTES and not self.pipeline:
                self._parse(data)
            else:
                self._parse_pieces(data)
        except Exception as error:  # a defect, too, is answered and logged
            self._refuse(reason(error))
        self._parsing = False
        if self._coming:
            self._wait()
        self._set_limit()

    def eof_received(self) -> bool:  # type: ignore[override]
        """Return whether the connection stays, for the answers to what came whole."""
        self.transport.at_eof = self._ending = True
        self._unset_limit()
        if not self._unfed:
            self._forget()
        return bool(self._unanswered or self._unfed)

    def _wait(self) -> None:
        """Called when all data is parsed and a request has not come whole."""

    def _parse_pieces(self, data: bytes) -> None:
        for start in range(0, len(data), PIECE_BYTES):
            if self.pipeline:
                self._unfed = data[start:]
                self.flow.hold()
                return
            self._parse(data[start : start + PIECE_BYTES])

    def on_message_begin(self) -> None:
        """Part of httptools' protocol."""
        self._coming = self._head = self._moved = self._boundary = True
        self._begun, self._head_bytes = False, 0
        if self.timeout_keep_alive_task is not None:
            self._unset_keepalive_if_required()
        self.url, self.headers, self._method = b"", [], b""

    def on_headers_complete(self) -> None:
        """Part of httptools' protocol. Raises ``BylineError``."""
        self._boundary = True
        self._method = self.parser.get_method()
        self._version = version = self.parser.get_http_version()
        self._fields = fields = dict(self.headers)
        if self._head_bytes or len(self.headers) > MAX_FIELDS:
            check_head(self.url, self.headers)
        head_rules.check(version, self.headers, fields)
        head_rules.check_url(self.url)
        if self.parser.should_upgrade():
            return  # it comes again
        self._head = False
        self._framing = FramingCounter() if b"transfer-encoding" in fields else None
        self.expect_100_continue = version != "1.0" and b"expect" in fields
        self._accept()

    def _accept(self) -> None:
        """Begin with a request whose head has come."""
        self._begin_task()

    def _begin_task(self, parts: Sequence[bytes] = ()) -> None:
        """Have the application see to the request, with what has come of its body."""
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()  # makes a scope
        self.url, self.expect_100_continue = url, expects
        self.headers.extend(headers)
        super().on_headers_complete()
        self._begun = True
        self._unanswered += 1
        self._keeps = self.cycle.keep_alive
        self.cycle.keep_alive = False  # unless all of it comes before the answer
        for part in parts:
            super().on_body(part)

    def on_message_complete(self) -> None:
        """Part of httptools' protocol."""
        if self.parser.should_upgrade():
            return
        self._coming, self._moved, self._boundary = False, True, True
        self._framing = None
        if not self.cycle.response_started:
            # After the client's last byte, several requests may still wait for their answers.
            self.cycle.keep_alive = self._keeps and (self.transport.at_eof or not self._ending)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Called once an answer is written."""
        self._unanswered -= 1
        super().on_response_complete()
        if self._ending or self._unfed:
            self._go_on()
        if self._coming and self._limit is None and not self._parsing:
            self._set_limit()

    def _go_on(self) -> None:
        """Parse what waited, and close the connection after the last answer."""
        if self._parsing or self.transport.is_closing():
            return
        if self._unfed and not self.pipeline:
            data, self._unfed = self._unfed, b""
            self.flow.release()
            self._feed(data)
            if self.transport.at_eof and not self._unfed:
                self._forget()
        if self._ending and not (self._unanswered or self._unfed):
            self._end()

    def _refuse(self, error: BylineError) -> None:
        """Answer what can't be understood, after all that came whole before, and close."""
        if self._refusal or self.transport.is_closing():
            return
        head_only = self._coming and self._method == b"HEAD"
        defaults = self.server_state.default_headers
        self._refusal = encode(problem_of(error), defaults, keep_alive=False, head_only=head_only)
        self._ending = True
        self._unfed = b""
        self._unset_limit()
        self.flow.hold()
        self._forget()
        if not self._unanswered:
            self._end()

    def _forget(self) -> None:
        """Give up the request that has not come whole, unless its answer has begun."""
        if not (self._coming and self._begun):
            self._coming = False
            return
        cycle = self.cycle
        if cycle.response_started:
            return
        self._coming = False
        self._unanswered -= 1
        if self.pipeline and self.pipeline[0][0] is cycle:
            self.pipeline.popleft()
        else:
            cycle.disconnected = True
            cycle.message_event.set()

    def _end(self) -> None:
        if self._refusal:
            self.transport.write(self._refusal)
        self.transport.close()

    def shutdown(self) -> None:
        """Let the client ask once more; called when the process begins to stop."""
        self._ending = True
        if self.cycle is not None:
            self.cycle.keep_alive = False
        self.loop.call_later(FAREWELL_S, self._farewell)

    def _farewell(self) -> None:
        if not self._unanswered and not (self._coming and self._head):
            self.transport.close_now()

    def timeout_keep_alive_handler(self) -> None:
        """Called when a connection has idled for long enough."""
        self.transport.close_now()

    def _set_limit(self) -> None:
        """Limits the time of the request that is coming, while its client may send.

        It may not while earlier requests wait for their answers: then reading is held. The time
        begins anew once the connection reads on.
        """
        if self.pipeline or self._unfed:
            self._unset_limit()
        elif self._moved or self._limit is None:
            self._unset_limit()
            if self._coming and not self.transport.at_eof and not self.transport.is_closing():
                self._limit = self.loop.call_later(REQUEST_S, self._too_slow)

    def _unset_limit(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None

    def _too_slow(self) -> None:
        self._limit = None
        self._refuse(Timeout(_TOO_SLOW))
