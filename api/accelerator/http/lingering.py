"""Closes a connection late, so that a client that is still sending gets its last response.

In this lingering close, Byline closes its sending side first. Then Byline discards input until the
client closes the connection, or until a limit of time, bytes or connections is reached.
"""

from __future__ import annotations

import asyncio
from typing import ClassVar

from api.accelerator.http import write_timeout

#: Longest time that a connection lingers, in seconds.
LINGER_S = 30.0
#: Seconds for which a client may be silent after it has read its responses. Each connection is
#: checked once in this time.
LINGER_IDLE_S = 5.0
#: Largest number of bytes that a lingering connection reads and discards.
LINGER_BYTES = 64 * 2**20
#: Largest number of lingering connections of a process. At this limit, Byline closes the oldest
#: connection without unsent data. If all have unsent data, Byline closes the oldest.
LINGER_CONNECTIONS = 256


class Lingering(asyncio.Protocol):
    """The asyncio protocol of a connection from its last response until the connection closes."""

    #: All lingering connections of the process, the oldest first.
    all: ClassVar[dict[Lingering, None]] = {}

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        """Takes over a connection, and closes its sending side after all data is sent."""
        self._transport = transport
        self._loop = loop
        self._previous_protocol = transport.get_protocol()
        self._deadline = loop.time() + LINGER_S
        #: Bytes that the connection may still read and discard.
        self._readable = LINGER_BYTES
        #: The values of ``_readable`` and ``unsent`` at the last check.
        self._last_left = (self._readable, self.unsent)
        #: Checks in a row that found no progress.
        self._idle_checks = 0
        self._timer = loop.call_later(LINGER_IDLE_S, self._check)
        if len(self.all) >= LINGER_CONNECTIONS:
            oldest = next(iter(self.all))
            next((each for each in self.all if not each.unsent), oldest).end()
        self.all[self] = None
        transport.set_protocol(self)
        # A close with unread input would send a reset, and the client would lose the response.
        transport.write_eof()
        transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        """Discards the data; called by asyncio."""
        self._readable -= len(data)
        if self._readable <= 0:
            self.end()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tells the original protocol that its connection is closed; called by asyncio."""
        self._timer.cancel()
        self.all.pop(self, None)
        if self._previous_protocol is not None:
            self._previous_protocol.connection_lost(exc)

    @property
    def unsent(self) -> int:
        """The number of written bytes that are not sent, because the client reads too slowly."""
        return self._transport.get_write_buffer_size()

    def end_once_sent(self) -> None:
        """Closes the connection at most :data:`LINGER_IDLE_S` seconds after all data is sent."""
        self._deadline = self._loop.time()
        if not self.unsent:
            self.end()

    def end(self) -> None:
        """Closes the connection now, even if data is unsent."""
        self._timer.cancel()
        self.all.pop(self, None)
        self._transport.abort()  # close() would wait for a client that reads nothing

    def _check(self) -> None:
        """Closes the connection if it makes no progress for too long, or if its deadline is over.

        While data is unsent, progress means that the client reads, and the deadline does not count.
        Later, progress means that the client sends.
        """
        unsent = self.unsent
        (readable, unsent_before), self._last_left = self._last_left, (self._readable, unsent)
        progressed = unsent < unsent_before or (not unsent and self._readable < readable)
        self._idle_checks = 0 if progressed else self._idle_checks + 1
        allowed_s = write_timeout.WRITE_TIMEOUT_S if unsent else LINGER_IDLE_S
        over = not unsent and self._loop.time() >= self._deadline
        if over or self._idle_checks * LINGER_IDLE_S >= allowed_s:
            self.end()
        else:
            self._timer = self._loop.call_later(LINGER_IDLE_S, self._check)
