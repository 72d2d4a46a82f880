"""An asyncio transport that closes late: a client that is still sending gets its response."""

from __future__ import annotations

import asyncio
import os
import socket
from array import array
from collections.abc import Callable
from contextlib import suppress
from fcntl import ioctl
from termios import FIONREAD
from typing import Any

from api.accelerator.http.lingering import Lingering


class LingeringTransport:
    """Wraps an asyncio transport. Closes late, to give the client time to read its response."""

    __slots__ = ("_lingering", "_loop", "_transport", "at_eof", "is_closing")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._lingering: Lingering | None = None
        self.is_closing: Callable[[], bool] = transport.is_closing
        #: True if the client sends no more. Then the connection need not linger.
        self.at_eof = False

    def write(self, data: bytes) -> None:
        """Sends ``data``, unless Byline or the client has closed the connection."""
        # uvloop raises if the connection is closed already.
        if self._lingering is None and not self._transport.is_closing():
            self._transport.write(data)

    def close(self) -> None:
        """Closes the connection. A client that is still sending can read its response first."""
        if self._lingering is not None:
            return
        if self.at_eof or self._transport.is_closing():
            self._transport.close()
        else:
            self.is_closing = _yes
            self._lingering = Lingering(self._transport, self._loop)

    def close_now(self) -> None:
        """Closes the connection, and does not linger.

        If the connection lingers already, it closes soon after all data is sent.
        """
        if self._lingering is not None:
            self._lingering.end_once_sent()
            return
        if not (self._transport.is_closing() or self._transport.get_write_buffer_size()):
            self._tell_client()
        self._transport.close()

    def has_unread(self) -> bool:
        """Returns whether the kernel holds bytes from the client that the event loop has not read.

        Returns False for a connection that lingers or closes: nobody needs the bytes.
        """
        if self._lingering is not None or self._transport.is_closing():
            return False
        unread = array("i", [0])
        ioctl(self._descriptor(), FIONREAD, unread)
        return unread[0] > 0

    def _tell_client(self) -> None:
        """Ends the connection in the kernel, so that the client sees the end at once.

        The event loop closes the socket later, after other callbacks. Until then, the client might
        send a request that gets no response.
        """
        with socket.socket(fileno=os.dup(self._descriptor())) as same, suppress(OSError):
            same.shutdown(socket.SHUT_RDWR)  # an OSError says that the client was first

    def _descriptor(self) -> int:
        descriptor: int = self._transport.get_extra_info("socket").fileno()
        return descriptor

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


def _yes() -> bool:
    return True
