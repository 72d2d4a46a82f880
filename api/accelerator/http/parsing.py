"""Parses HTTP in pieces, checks size limits, and decides if Byline or the client made an error."""

from __future__ import annotations

import httptools

from api.accelerator.http.head_limits import FramingCounter, check_partial_head
from api.accelerator.http.write_timeout import WriteTimeoutProtocol
from monitoring.instruments.background import Failures
from tasks.errors import BadRequest, BylineError, InternalError

_failures = Failures("a callback of the HTTP parser", "")


class ParsingConnection(WriteTimeoutProtocol):
    """uvicorn's protocol, with the limits of :mod:`api.accelerator.http.head_limits`."""

    #: True while a request is incomplete.
    _receiving = False
    #: True while the head of a request is incomplete.
    _receiving_head = False
    #: True if the current piece holds the start or the end of a request, or the end of its head.
    _at_boundary = False
    #: Bytes of the current head so far, without the bytes of the piece in which the head began.
    _head_bytes = 0
    #: Counts the bytes of a chunked body that are not data; ``None`` for other bodies.
    _framing: FramingCounter | None = None
    #: Method of the last complete head.
    _method = b""
    #: HTTP version of the last complete head, such as ``1.1``.
    _version = ""

    def _parse(self, data: bytes) -> None:
        """Parses bytes from the client, and ignores offers to upgrade to another protocol.

        Raises:
            HttpParserError, BylineError: the request is invalid, or a parser callback failed.
        """
        self._at_boundary = False
        while True:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as offer:
                if self._method == b"CONNECT":
                    raise BadRequest("this server is no proxy") from None
                # After an offer, the parser would treat the body as data of the new protocol. So a
                # new parser parses the request again, without the offer.
                kept = [b"%s: %s" % header for header in self.headers if header[0] != b"upgrade"]
                version = self._version.encode()
                head = [b"%s %s HTTP/%s" % (self._method, self.url, version), *kept, b"", b""]
                data = b"\r\n".join(head) + data[offer.args[0] :]
                self.parser = httptools.HttpRequestParser(self)
                # uvicorn sets this option for the first parser.
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            else:
                break
        if not self._at_boundary:
            self._count(len(data))

    def _count(self, size: int) -> None:
        """Counts ``size`` bytes that all belong to one head or to one body.

        Raises:
            HeadersTooLarge: the head or body exceeds a limit.
        """
        if self._framing is not None:
            self._framing.add_piece(size)
        elif self._receiving_head or not self._receiving:
            self._head_bytes += size
            check_partial_head(self._head_bytes, len(self.headers) if self._receiving_head else 0)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Stores a header, or counts a trailer without storing it; called by the parser."""
        if self._receiving_head:
            self.headers.append((name.lower(), value))
        elif self._framing is not None:
            self._framing.add_trailer()

    def on_body(self, body: bytes) -> None:
        """Counts a part of the request's body, and passes it to uvicorn; called by the parser."""
        if self._framing is not None:
            self._framing.add_data(len(body))
        super().on_body(body)

    def on_chunk_header(self) -> None:
        """Counts the start of an HTTP chunk of the body; called by the parser."""
        if self._framing is not None:
            self._framing.add_chunk()


def error_to_send(error: Exception) -> BylineError:
    """Returns the error to send to the client after the parser has raised an exception.

    If the cause is a defect of Byline, the error is ``InternalError``, and Byline logs the defect,
    at most once a minute.
    """
    cause, context = error, error.__context__
    # The parser wraps an exception that was raised in a callback.
    if isinstance(error, httptools.HttpParserCallbackError) and isinstance(context, Exception):
        cause = context
    if isinstance(cause, BylineError):
        return cause
    if isinstance(cause, httptools.HttpParserError):
        return BadRequest(str(error))
    _failures.add(cause)
    return InternalError("a defect of Byline; its log says more")
