"""HTTP on one connection, with a short way for nearly all requests: no task, fewer system calls."""

from __future__ import annotations

from typing import Any

from api.accelerator.callback_cycle import CallbackCycle, HandleFast
from api.accelerator.http.connection import HttpConnection
from api.service import PATH

_URL = PATH.encode()


class Protocol(HttpConnection):
    """A connection on which a message that comes whole is answered by a call."""

    #: The body, as far as it has come, of what is answered without a task if it comes whole.
    _parts: list[bytes] | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._handle_fast: HandleFast | None = getattr(self.app, "handle_fast", None)

    def _accept(self) -> None:
        if (
            self._handle_fast is not None
            and self.url == _URL
            and self._method == b"POST"
            and not (self._unanswered or self._ending or self.expect_100_continue)
            and not self.flow.write_paused
        ):
            self._parts = []
        else:
            self._begin_task()

    def _wait(self) -> None:
        if self._parts is not None:  # who waits for the rest is a coroutine
            self._begin_rest()

    def _begin_rest(self) -> None:
        parts, self._parts = self._parts or (), None
        self._begin_task(parts)

    def on_body(self, body: bytes) -> None:
        """Part of httptools' protocol."""
        if self._parts is None:
            super().on_body(body)
            return
        if self._framing is not None:
            self._framing.add_data(len(body))
        self._parts.append(body)

    def on_message_complete(self) -> None:
        """Part of httptools' protocol."""
        if self._parts is not None:
            if self._attended(b"".join(self._parts)):
                self._coming, self._moved, self._boundary = False, True, True
                self._parts = self._framing = None
                return
            self._begin_rest()
        super().on_message_complete()

    def _forget(self) -> None:
        self._parts = None
        super()._forget()

    def _attended(self, body: bytes) -> bool:
        """Have the message answered without a task; return whether it will be."""
        assert self._handle_fast is not None
        keeps = self._version != "1.0" and self.parser.should_keep_alive()
        defaults, tasks = self.server_state.default_headers, self.server_state.tasks
        cycle = CallbackCycle(self, keeps, defaults, tasks.discard)
        before, self.cycle = self.cycle, cycle  # type: ignore[assignment]
        tasks.add(cycle)  # type: ignore[arg-type]
        self._unanswered += 1
        if self._handle_fast(self._fields, body, cycle.answer):
            return True
        self._unanswered -= 1
        tasks.discard(cycle)
        self.cycle = before
        return False
