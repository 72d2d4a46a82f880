"""Flow control: stops reading from a client while its earlier requests have no response yet.

uvicorn pauses reading, too, but an application that waits for a request body resumes reading.
Without this module, 60 MB of requests behind a slow one were all parsed, and each byte took a
hundred bytes of memory.
"""

from __future__ import annotations

from uvicorn.protocols.http.flow_control import FlowControl


class HeldFlow(FlowControl):
    """uvicorn's flow control, with a hold that only :meth:`release` ends."""

    _held = False

    def hold(self) -> None:
        """Stops reading until :meth:`release`."""
        self._held = True
        self.pause_reading()

    def release(self) -> None:
        """Resumes reading."""
        self._held = False
        self.resume_reading()

    def resume_reading(self) -> None:
        """Resumes reading, unless it is held."""
        if not self._held:
            super().resume_reading()
