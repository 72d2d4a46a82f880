"""A transport that sends a response's head and body together: one system call, not two."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from api.accelerator.http.lingering import Lingering


class CoalescingTransport:
    """Wraps a transport: holds a response's head, and sends it together with the next write.

    It holds a head until the end of the event loop's current iteration, and no longer.
    """

    __slots__ = ("_held_head", "_lingering", "_loop", "_transport", "at_eof", "is_closing")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._held_head = b""
        self._lingering: Lingering | None = None
        self.is_closing: Callable[[], bool] = transport.is_closing
        #: True if the client sends no more. Then the connection need not linger.
        self.at_eof = False

    def write(self, data: bytes) -> None:
        """Sends ``data``, unless Byline or the client has closed the connection."""
        if self._transport.is_closing():  # uvloop raises if the connection is closed already
            self._held_head = b""
        elif self._held_head:
            self._transport.write(self._held_head + data)
            self._held_head = b""
        elif self._lingering is not None:
            return
        elif data.endswith(b"\r\n\r\n"):
            self._held_head = data
            self._loop.call_soon(self._flush)  # sends the head if no body follows
        else:
            self._transport.write(data)

    def close(self) -> None:
        """Sends what is held, and closes. A client that is still sending gets the response too."""
        if self._lingering is not None:
            return
        self._flush()
        if self.at_eof or self._transport.is_closing():
            self._transport.close()
        else:
            self.is_closing = _yes
            self._lingering = Lingering(self._transport, self._loop)

    def close_now(self) -> None:
        """Closes an idle connection, or a lingering one once its client has read the responses."""
        if self._lingering is not None:
            self._lingering.end_once_sent()
        else:
            self._flush()
            self._transport.close()

    def _flush(self) -> None:
        if self._held_head:
            if not self._transport.is_closing():
                self._transport.write(self._held_head)
            self._held_head = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


def _yes() -> bool:
    return True
