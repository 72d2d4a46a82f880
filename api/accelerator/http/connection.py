"""Handles HTTP on one connection: uvicorn's protocol, with limits for time and size.

An invalid request gets a problem document after all earlier responses. Then the connection closes.
The connection also closes if a response is sent before the whole request has arrived.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from api.accelerator.callback_cycle import encode
from api.accelerator.http import head_rules
from api.accelerator.http.errors import Timeout
from api.accelerator.http.flow import HeldFlow
from api.accelerator.http.head_limits import MAX_FIELDS, PIECE_BYTES, FramingCounter, check_head
from api.accelerator.http.lingering_transport import LingeringTransport
from api.accelerator.http.parsing import ParsingConnection, error_to_send
from api.errors import problem_of
from tasks.errors import BylineError

#: Longest time, in seconds, that a client may take to send a request, counted from the request's
#: first byte or from the start of the connection.
REQUEST_S = 30.0
#: Seconds for which a stopping process still answers on idle connections.
STOPPING_S = 1.0
#: Seconds until the next check of an idle connection that stays open because of unread bytes. In a
#: busy event loop, the timer may run before the bytes are read, although the bytes came first.
UNREAD_S = 0.1

_TIMEOUT_ERROR = f"the whole request did not arrive within {REQUEST_S:g} seconds"


class HttpConnection(ParsingConnection):
    """uvicorn's protocol, with Byline's transport, flow control and limits."""

    transport: LingeringTransport  # type: ignore[assignment]
    flow: HeldFlow

    #: True if the application handles the request whose body is arriving.
    _has_task = False
    #: True if a request has begun or ended in the data that was parsed last.
    _progressed = False
    #: Number of requests that the application handles and has not answered.
    _unanswered = 0
    #: Data from the client that waits until the earlier requests are answered.
    _unparsed = b""
    #: True while the parser runs. The parser must not be called from its own callbacks.
    _parsing = False
    #: True if the connection will close after the responses to the requests so far.
    _closing = False
    #: The response to an invalid request. It is the last response of the connection.
    _error_response = b""
    #: Headers of the last complete head, by name in lower case.
    _fields: dict[bytes, bytes]
    #: True if the client lets the connection stay open after the response.
    _keep_alive = False
    #: Ends the connection if the request that is arriving is not complete in time.
    _request_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Prepares a new connection; called by asyncio."""
        super().connection_made(LingeringTransport(transport, self.loop))  # type: ignore[arg-type]
        self.flow = HeldFlow(self.transport)  # type: ignore[arg-type]
        self._request_timer = self.loop.call_later(REQUEST_S, self._on_timeout)

    def connection_lost(self, exc: Exception | None) -> None:
        """Cleans up after the connection has closed; called by asyncio."""
        self._cancel_timer()
        self._unset_keepalive_if_required()  # uvicorn leaves this timer running after a reset
        self.resume_writing()
        for cycle, _ in self.pipeline:  # uvicorn marks only the newest cycle
            cycle.disconnected = True
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parses bytes from the client; called by asyncio.

        While a parsed request waits for the response to an earlier request, this method stores the
        bytes instead.
        """
        if self._unparsed:
            self._unparsed += data
        elif not self._error_response:
            self._feed(data)

    def _feed(self, data: bytes) -> None:
        """Parses bytes from the client, and stores the bytes that must wait.

        Bytes must wait while a parsed request waits for the response to an earlier request.
        """
        self._progressed = False
        self._parsing = True
        try:
            if len(data) <= PIECE_BYTES and not self.pipeline:
                self._parse(data)
            else:
                self._parse_pieces(data)
        except Exception as error:  # error_to_send logs a defect of Byline
            self._refuse(error_to_send(error))
        self._parsing = False
        if self._receiving:
            self._on_incomplete()
        self._update_timer()

    def eof_received(self) -> bool:  # type: ignore[override]
        """Records that the client sends no more data; called by asyncio.

        Returns True if responses are still to be sent, so that asyncio keeps the connection open.
        """
        self.transport.at_eof = self._closing = True
        self._cancel_timer()
        if not self._unparsed:
            self._drop_incomplete()
        return bool(self._unanswered or self._unparsed)

    def _on_incomplete(self) -> None:
        """Does nothing; called while a request is arriving. A subclass may override this method."""

    def _parse_pieces(self, data: bytes) -> None:
        for start in range(0, len(data), PIECE_BYTES):
            if self.pipeline:
                self._unparsed = data[start:]
                self.flow.hold()
                return
            self._parse(data[start : start + PIECE_BYTES])

    def on_message_begin(self) -> None:
        """Prepares for a new request; called by the parser."""
        self._receiving = self._receiving_head = self._progressed = self._at_boundary = True
        self._has_task, self._head_bytes = False, 0
        if self.timeout_keep_alive_task is not None:
            self._unset_keepalive_if_required()
        self.url, self.headers, self._method = b"", [], b""

    def on_headers_complete(self) -> None:
        """Checks a request's complete head, and starts to handle the request; called by the parser.

        Raises:
            BylineError: the head breaks a rule or a limit of HTTP.
        """
        self._at_boundary = True
        self._method = self.parser.get_method()
        self._version = version = self.parser.get_http_version()
        self._fields = fields = dict(self.headers)
        if self._head_bytes or len(self.headers) > MAX_FIELDS:
            check_head(self.url, self.headers)
        head_rules.check(version, self.headers, fields)
        head_rules.check_url(self.url)
        if self.parser.should_upgrade():
            return  # ParsingConnection parses this head again, without the offer to upgrade
        self._receiving_head = False
        self._framing = FramingCounter() if b"transfer-encoding" in fields else None
        self.expect_100_continue = version != "1.0" and b"expect" in fields
        self._start_request()

    def _start_request(self) -> None:
        """Starts to handle a request whose head is complete."""
        self._begin_task()

    def _begin_task(self, parts: Sequence[bytes] = ()) -> None:
        """Starts the asyncio task in which the application handles the request.

        ``parts`` are the parts of the body that have arrived so far.
        """
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()  # makes the ASGI scope
        self.url, self.expect_100_continue = url, expects
        self.headers.extend(headers)
        super().on_headers_complete()
        self._has_task = True
        self._unanswered += 1
        self._keep_alive = self.cycle.keep_alive
        self.cycle.keep_alive = False  # until the request is complete
        for part in parts:
            super().on_body(part)

    def on_message_complete(self) -> None:
        """Records that a request has arrived completely; called by the parser."""
        if self.parser.should_upgrade():
            return
        self._receiving, self._progressed, self._at_boundary = False, True, True
        self._framing = None
        if not self.cycle.response_started:
            # A client that sends no more may still wait for the responses to several requests.
            stays_open = self.transport.at_eof or not self._closing
            self.cycle.keep_alive = self._keep_alive and stays_open
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Continues with the next request after a response; called by the request cycle."""
        self._unanswered -= 1
        super().on_response_complete()
        if self._closing or self._unparsed:
            self._continue()
        if self._receiving and self._request_timer is None and not self._parsing:
            self._update_timer()

    def _continue(self) -> None:
        """Parses the stored bytes. Closes the connection if it has sent its final response."""
        if self._parsing or self.transport.is_closing():
            return
        if self._unparsed and not self.pipeline:
            data, self._unparsed = self._unparsed, b""
            self.flow.release()
            self._feed(data)
            if self.transport.at_eof and not self._unparsed:
                self._drop_incomplete()
        if self._closing and not (self._unanswered or self._unparsed):
            self._close()

    def _refuse(self, error: BylineError) -> None:
        """Sends an error after all responses to earlier requests, and closes the connection."""
        if self._error_response or self.transport.is_closing():
            return
        head_only = self._receiving and self._method == b"HEAD"
        headers = self.server_state.default_headers
        response = encode(problem_of(error), headers, keep_alive=False, head_only=head_only)
        self._error_response = response
        self._closing = True
        self._unparsed = b""
        self._cancel_timer()
        self.flow.hold()
        self._drop_incomplete()
        if not self._unanswered:
            self._close()

    def _drop_incomplete(self) -> None:
        """Drops a request that is still arriving. Keeps the request if its response has begun."""
        if not (self._receiving and self._has_task):
            self._receiving = False
            return
        cycle = self.cycle
        if cycle.response_started:
            return
        self._receiving = False
        self._unanswered -= 1
        if self.pipeline and self.pipeline[0][0] is cycle:
            self.pipeline.popleft()
        else:
            cycle.disconnected = True
            cycle.message_event.set()

    def _close(self) -> None:
        if self._error_response:
            self.transport.write(self._error_response)
        self.transport.close()

    def shutdown(self) -> None:
        """Makes the connection close after the responses to its requests; called by uvicorn.

        uvicorn calls this method when the process must stop. A connection without requests closes
        after :data:`STOPPING_S` seconds.
        """
        self._closing = True
        if self.cycle is not None:
            self.cycle.keep_alive = False
        self.loop.call_later(STOPPING_S, self._close_if_idle)

    def _close_if_idle(self) -> None:
        if self._unanswered or (self._receiving and self._receiving_head):
            return
        if self.transport.has_unread():
            self.loop.call_later(UNREAD_S, self._close_if_idle)
        else:
            self.transport.close_now()

    def timeout_keep_alive_handler(self) -> None:
        """Closes the connection after it was idle for the keep-alive time; called by uvicorn."""
        if self.transport.has_unread():  # a request in these bytes cancels the timer
            again = self.loop.call_later(UNREAD_S, self.timeout_keep_alive_handler)
            self.timeout_keep_alive_task = again
        else:
            self.transport.close_now()

    def _update_timer(self) -> None:
        """Starts or stops the timer that limits how long a request may take to arrive.

        The timer does not run while a parsed request waits for the response to an earlier request,
        because the connection reads nothing in this time.
        """
        if self.pipeline or self._unparsed:
            self._cancel_timer()
        elif self._progressed or self._request_timer is None:
            self._cancel_timer()
            if self._receiving and not self.transport.at_eof and not self.transport.is_closing():
                self._request_timer = self.loop.call_later(REQUEST_S, self._on_timeout)

    def _cancel_timer(self) -> None:
        if self._request_timer is not None:
            self._request_timer.cancel()
            self._request_timer = None

    def _on_timeout(self) -> None:
        self._request_timer = None
        self._refuse(Timeout(_TIMEOUT_ERROR))
