"""Requests, drawn and rendered before the load begins: it costs more than to send them."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterator

from bench.load.http_client import Request, Target, render
from bench.load.messages import Message

#: Messages that are kept ready at most, as many as 20 s at 12,000 a second and a warm-up take; and
#: bytes of requests, for texts longer than usual. It comes to half a gigabyte at first, and gets
#: less with each request that is sent. What a longer load sends after them is drawn as it goes.
MOST_MESSAGES, MOST_BYTES = 300_000, 192 * 2**20


class RequestPool:
    """Requests of ``bulk`` messages without end, as many of them ready as it was filled with."""

    def __init__(
        self, target: Target, messages: Iterator[Message], bulk: int, deadline_ms: int | None
    ) -> None:
        self._target = target
        self._messages = messages
        self._bulk = bulk
        self._deadline_ms = deadline_ms
        self._ready: deque[Request] = deque()

    def fill(self, messages: int, stopped: Callable[[], bool]) -> None:
        """Have so many messages ready, fewer where they are too many or too long, or at a stop."""
        requests = -(-min(messages, MOST_MESSAGES) // self._bulk)
        left = MOST_BYTES
        while len(self._ready) < requests and left > 0 and not stopped():
            self._ready.append(request := self._draw())
            left -= len(request.wire)

    def take(self) -> Request:
        """Returns the next request."""
        return self._ready.popleft() if self._ready else self._draw()

    def _draw(self) -> Request:
        messages = list(itertools.islice(self._messages, self._bulk))
        return Request(render(self._target, messages, self._bulk > 1, self._deadline_ms), messages)
