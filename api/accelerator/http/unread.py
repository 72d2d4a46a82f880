"""A limit of time for clients that read nothing of what they are sent."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

#: Seconds for which a client may read nothing of an answer that waits for it.
UNREAD_S = 30.0


class ReadingClients(HttpToolsProtocol):
    """uvicorn's protocol, which cuts off a client that reads nothing."""

    _unread: asyncio.TimerHandle | None = None

    def pause_writing(self) -> None:
        """See :class:`asyncio.Protocol`."""
        super().pause_writing()
        self._watch(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """See :class:`asyncio.Protocol`."""
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None
            super().resume_writing()

    def _watch(self, left: int) -> None:
        self._unread = self.loop.call_later(UNREAD_S, self._is_read, left)

    def _is_read(self, before: int) -> None:
        """Cut off a client that has read nothing since so many bytes were left."""
        left = self.transport.get_write_buffer_size()
        if left < before:
            self._watch(left)
        else:
            self.transport.abort()
