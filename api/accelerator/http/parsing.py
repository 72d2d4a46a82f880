"""HTTP parsing, a piece at a time, with limits of size, and with every error told apart.

The parser calls the connection back while it parses. It reports every exception of a callback as an
error of its own; here the client's mistakes are told from Byline's defects.
"""

from __future__ import annotations

import httptools

from api.accelerator.http.head_limits import FramingCounter, check_coming
from api.accelerator.http.unread import ReadingClients
from monitoring.instruments.background import Failures
from tasks.errors import BadRequest, BylineError, InternalError

_failures = Failures("a callback of the HTTP parser", "")


class ParsingConnection(ReadingClients):
    """uvicorn's protocol, which counts the bytes of heads, chunk sizes and trailers."""

    #: Has a request begun that has not come whole; and is its head still to come?
    _coming = _head = False
    #: True where the piece that is parsed holds the beginning or the end of a request, or the end
    #: of its head.
    _boundary = False
    #: Bytes of the present head so far, but for those of the piece in which it began.
    _head_bytes = 0
    #: Counts what a chunked body has beside its data.
    _framing: FramingCounter | None = None
    #: Of the request whose head came last.
    _method = b""
    _version = ""

    def _parse(self, data: bytes) -> None:
        """Parse, with offers of other protocols declined: such a request is answered in this one.

        The parser takes its body for the other protocol, so that all is parsed again without the
        offer. Raises ``HttpParserError``, ``BylineError``.
        """
        self._boundary = False
        while True:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as offer:
                if self._method == b"CONNECT":
                    raise BadRequest("this is no proxy") from None
                kept = [b"%s: %s" % header for header in self.headers if header[0] != b"upgrade"]
                version = self._version.encode()
                head = [b"%s %s HTTP/%s" % (self._method, self.url, version), *kept, b"", b""]
                data = b"\r\n".join(head) + data[offer.args[0] :]
                self.parser = httptools.HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's
            else:
                break
        if not self._boundary:
            self._count(len(data))

    def _count(self, size: int) -> None:
        """Count a piece that is of one head, or of one body, from its beginning to its end.

        Raises:
            HeadersTooLarge: it was too much.
        """
        if self._framing is not None:
            self._framing.add_piece(size)
        elif self._head or not self._coming:
            self._head_bytes += size
            check_coming(self._head_bytes, len(self.headers) if self._head else 0)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Part of httptools' protocol, which calls it for trailers too: these are ignored."""
        if self._head:
            self.headers.append((name.lower(), value))
        elif self._framing is not None:
            self._framing.add_trailer()

    def on_body(self, body: bytes) -> None:
        """Part of httptools' protocol."""
        if self._framing is not None:
            self._framing.add_data(len(body))
        super().on_body(body)

    def on_chunk_header(self) -> None:
        """Part of httptools' protocol."""
        if self._framing is not None:
            self._framing.add_chunk()


def reason(error: Exception) -> BylineError:
    """Returns the error to answer for what parsing raised; logs a defect, each once a minute."""
    cause, context = error, error.__context__
    if isinstance(error, httptools.HttpParserCallbackError) and isinstance(context, Exception):
        cause = context
    if isinstance(cause, BylineError):
        return cause
    if isinstance(cause, httptools.HttpParserError):
        return BadRequest(str(error))
    _failures.add(cause)
    return InternalError("a defect of Byline; its log says more")
