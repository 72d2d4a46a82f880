"""Flow control: stops reading from a client while its earlier requests have no response yet.

uvicorn pauses reading, too, but resumes when the application asks for a request's body. In a test
without this module, a client sent 60 MB of requests after a slow request. uvicorn parsed all of
them, and each of these bytes took a hundred bytes of memory.
"""

from __future__ import annotations

from uvicorn.protocols.http.flow_control import FlowControl


class HeldFlow(FlowControl):
    """uvicorn's flow control, with a pause that begins at :meth:`hold` and ends at :meth:`release`.

    During the pause, uvicorn can't resume reading.
    """

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
        """Reads from the client again. Does nothing between :meth:`hold` and :meth:`release`."""
        if not self._held:
            super().resume_reading()
