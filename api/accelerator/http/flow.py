"""Flow control: stops reading from a client while its earlier requests have no response yet.

uvicorn pauses reading, too, but resumes when the application asks for a request's body. Without
this module, 60 MB of requests behind a slow request were all parsed, and each byte took a hundred
bytes of memory.
"""

from __future__ import annotations

from uvicorn.protocols.http.flow_control import FlowControl


class HeldFlow(FlowControl):
    """uvicorn's flow control, plus a stop (:meth:`hold`) that lasts until :meth:`release`."""

    _held = False

    def hold(self) -> None:
        """Stops reading from the client until :meth:`release` is called."""
        self._held = True
        self.pause_reading()

    def release(self) -> None:
        """Ends :meth:`hold`, and reads from the client again."""
        self._held = False
        self.resume_reading()

    def resume_reading(self) -> None:
        """Reads from the client again, unless :meth:`hold` is in force."""
        if not self._held:
            super().resume_reading()
