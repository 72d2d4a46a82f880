"""Lingering close: reads on for a while after the last answer, so that the client gets it.

To close a connection with input that was not read makes the kernel send a reset, and the client
that still sends loses the answer that it was sent. So the sending side is closed first; what comes
is read and thrown away until the client closes too, or one of the limits here is reached.
"""

from __future__ import annotations

import asyncio
from typing import ClassVar

from api.accelerator.http import unread

#: Seconds that a connection lingers at most.
LINGER_S = 30.0
#: Seconds for which a client that was sent everything may be silent.
LINGER_IDLE_S = 5.0
#: Bytes that are read and thrown away at most.
LINGER_BYTES = 64 * 2**20
#: Connections of a process that linger at the same time: the oldest makes room for another.
LINGER_CONNECTIONS = 256


class Lingering(asyncio.Protocol):
    """The protocol of a connection from its last answer to its end."""

    #: All there are, the oldest first.
    all: ClassVar[dict[Lingering, None]] = {}

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        """Close the sending side, once what was written is sent, and take the connection over."""
        self._transport = transport
        self._loop = loop
        self._before = transport.get_protocol()
        self._until = loop.time() + LINGER_S
        self._left = LINGER_BYTES
        #: What was left to read and to send, when it was last looked at.
        self._seen = (self._left, self.unsent)
        #: How often in a row nothing had moved then.
        self._still = 0
        self._timer = loop.call_later(LINGER_IDLE_S, self._look)
        if len(self.all) >= LINGER_CONNECTIONS:
            oldest = next(iter(self.all))
            next((each for each in self.all if not each.unsent), oldest).end()
        self.all[self] = None
        transport.set_protocol(self)
        transport.write_eof()
        transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        """Throw it away; see :class:`asyncio.Protocol`."""
        self._left -= len(data)
        if self._left <= 0:
            self.end()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the protocol that was there before; see :class:`asyncio.Protocol`."""
        self._timer.cancel()
        self.all.pop(self, None)
        if self._before is not None:
            self._before.connection_lost(exc)

    @property
    def unsent(self) -> int:
        """Bytes of the answers that wait for the client to read."""
        return self._transport.get_write_buffer_size()

    def end_once_sent(self) -> None:
        """Closes the connection now, or soon after the client has read its answers."""
        self._until = self._loop.time()
        if not self.unsent:
            self.end()

    def end(self) -> None:
        """Close the connection now."""
        self._timer.cancel()
        self.all.pop(self, None)
        self._transport.abort()  # to close would wait for a client that reads nothing

    def _look(self) -> None:
        """Closes the connection if nothing has moved for too long, or it has taken too long."""
        unsent = self.unsent
        (left, before), self._seen = self._seen, (self._left, unsent)
        moved = unsent < before or (not unsent and self._left < left)
        self._still = 0 if moved else self._still + 1
        allowed = unread.UNREAD_S if unsent else LINGER_IDLE_S
        over = not unsent and self._loop.time() >= self._until
        if over or self._still * LINGER_IDLE_S >= allowed:
            self.end()
        else:
            self._timer = self._loop.call_later(LINGER_IDLE_S, self._look)
