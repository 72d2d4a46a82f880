"""Flow control that holds reading while requests wait for those before them.

uvicorn pauses reading there too, but an application that waits for its body resumes it: sixty
megabytes of requests behind a slow one were all parsed, and kept, at a hundred times their size.
"""

from __future__ import annotations

from uvicorn.protocols.http.flow_control import FlowControl


class HeldFlow(FlowControl):
    """uvicorn's flow control, with a hold that only its owner releases."""

    _held = False

    def hold(self) -> None:
        """Read no more until :meth:`release`."""
        self._held = True
        self.pause_reading()

    def release(self) -> None:
        """Read on."""
        self._held = False
        self.resume_reading()

    def resume_reading(self) -> None:
        """Read on, unless reading is held."""
        if not self._held:
            super().resume_reading()
