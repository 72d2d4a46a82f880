"""Disconnects clients that do not read their responses."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

#: Seconds after which a client that reads nothing of its response is disconnected.
WRITE_TIMEOUT_S = 30.0


class WriteTimeoutProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with a timer that disconnects clients that read nothing for too long."""

    _write_timer: asyncio.TimerHandle | None = None

    def pause_writing(self) -> None:
        """Starts the write timer; called by asyncio when the write buffer is full."""
        super().pause_writing()
        self._start_timer(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """Stops the write timer; called by asyncio when the client has read enough."""
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None
            super().resume_writing()

    def _start_timer(self, unsent: int) -> None:
        self._write_timer = self.loop.call_later(WRITE_TIMEOUT_S, self._check_progress, unsent)

    def _check_progress(self, unsent_before: int) -> None:
        """Aborts the connection if the client has read nothing since the timer started.

        ``unsent_before`` is the number of unsent bytes when the timer started.
        """
        unsent = self.transport.get_write_buffer_size()
        if unsent < unsent_before:
            self._start_timer(unsent)
        else:
            self.transport.abort()
