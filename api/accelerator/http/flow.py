"""Flow control: stops reading from a client that has several unanswered requests."""

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
        """Ends the pause that :meth:`hold` began, and reads from the client again."""
        self._held = False
        self.resume_reading()

    def resume_reading(self) -> None:
        """Reads from the client again. Does nothing between :meth:`hold` and :meth:`release`."""
        # uvicorn resumes when the application asks for a request's body. In a test without this
        # check, a client sent 60 MB of requests after a slow request. uvicorn parsed all these
        # requests, and used a hundred bytes of memory for each byte of a request.
        if not self._held:
            super().resume_reading()
