"""An asyncio protocol for HTTP, with a fast path for requests with one text to attribute."""

from __future__ import annotations

from typing import Any

from api.accelerator.callback_cycle import CallbackCycle, HandleFast
from api.accelerator.http.connection import HttpConnection
from api.service import PATH

_URL = PATH.encode()


class FastHttpProtocol(HttpConnection):
    """An HTTP connection, with a fast path for a request with one text to attribute.

    The request's body must arrive together with the end of its head. On the fast path, a callback
    sends the response. All other requests need a coroutine.
    """

    #: Parts of the body of a request on the fast path; ``None`` for any other request.
    _body_parts: list[bytes] | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._handle_fast: HandleFast | None = getattr(self.app, "handle_fast", None)

    def _start_request(self) -> None:
        if (
            self._handle_fast is not None
            and self.url == _URL
            and self._method == b"POST"
            and not (self._unanswered or self._closing or self.expect_100_continue)
            and not self.flow.write_paused
        ):
            self._body_parts = []
        else:
            self._begin_task()

    def _on_incomplete(self) -> None:
        if self._body_parts is not None:  # only a coroutine can wait for the rest of the body
            self._leave_fast_path()

    def _leave_fast_path(self) -> None:
        parts, self._body_parts = self._body_parts or (), None
        self._begin_task(parts)

    def on_body(self, body: bytes) -> None:
        """Stores a part of the request's body; called by the parser."""
        if self._body_parts is None:
            super().on_body(body)
            return
        if self._framing is not None:
            self._framing.add_data(len(body))
        self._body_parts.append(body)

    def on_message_complete(self) -> None:
        """Handles a request that has arrived completely; called by the parser."""
        if self._body_parts is not None:
            if self._try_fast_path(b"".join(self._body_parts)):
                self._receiving, self._progressed, self._at_boundary = False, True, True
                self._body_parts = self._framing = None
                return
            self._leave_fast_path()
        super().on_message_complete()

    def _drop_incomplete(self) -> None:
        self._body_parts = None
        super()._drop_incomplete()

    def _try_fast_path(self, body: bytes) -> bool:
        """Hands a request to ``handle_fast``. Returns False if the request needs a coroutine."""
        assert self._handle_fast is not None
        keep_alive = self._version != "1.0" and self.parser.should_keep_alive()
        default_headers, tasks = self.server_state.default_headers, self.server_state.tasks
        cycle = CallbackCycle(self, keep_alive, default_headers, tasks.discard)
        previous, self.cycle = self.cycle, cycle  # type: ignore[assignment]
        tasks.add(cycle)  # type: ignore[arg-type]
        self._unanswered += 1
        if self._handle_fast(self._fields, body, cycle.respond):
            return True
        self._unanswered -= 1
        tasks.discard(cycle)
        self.cycle = previous
        return False
