"""A transport that sends an answer's head and body by one system call, and lingers at its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from api.accelerator.http.lingering import Lingering


class Gathering:
    """A transport that sends what ends as a head does with what is written next.

    Nothing is held for longer than the present turn of the loop.
    """

    __slots__ = ("_head", "_lingering", "_loop", "_transport", "at_eof", "is_closing")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._head = b""
        self._lingering: Lingering | None = None
        self.is_closing: Callable[[], bool] = transport.is_closing
        #: Has the client said that it sends no more? Then there is nothing to linger for.
        self.at_eof = False

    def write(self, data: bytes) -> None:
        """Send ``data``, unless the connection was closed, by the client too."""
        if self._transport.is_closing():  # uvloop raises where its end is known already
            self._head = b""
        elif self._head:
            self._transport.write(self._head + data)
            self._head = b""
        elif self._lingering is not None:
            return
        elif data.endswith(b"\r\n\r\n"):
            self._head = data
            self._loop.call_soon(self._flush)  # nothing follows a head alone
        else:
            self._transport.write(data)

    def close(self) -> None:
        """Send what is left and close, so that the client gets it also if it is still sending."""
        if self._lingering is not None:
            return
        self._flush()
        if self.at_eof or self._transport.is_closing():
            self._transport.close()
        else:
            self.is_closing = _yes
            self._lingering = Lingering(self._transport, self._loop)

    def close_now(self) -> None:
        """Close a connection that idles, or lingers: once its client has read what it was sent."""
        if self._lingering is not None:
            self._lingering.end_once_sent()
        else:
            self._flush()
            self._transport.close()

    def _flush(self) -> None:
        if self._head:
            if not self._transport.is_closing():
                self._transport.write(self._head)
            self._head = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


def _yes() -> bool:
    return True
