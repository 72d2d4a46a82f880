"""Renders requests as bytes before the load begins: rendering costs more than sending."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterator

from bench.load.http_client import Request, Target, render
from bench.load.messages import Message

#: Maximum number of messages that are rendered in advance: enough for 20 s at 12,000 a second, and
#: a warm-up. The rendered requests take half a gigabyte of memory. A longer load renders further
#: requests while it runs.
MAX_MESSAGES = 300_000
#: Maximum number of bytes of requests that are rendered in advance. This limit is for texts longer
#: than usual.
MAX_BYTES = 192 * 2**20


class RequestPool:
    """An endless supply of requests, some of them rendered in advance.

    ``bulk`` is the number of messages in a request.
    """

    def __init__(
        self, target: Target, messages: Iterator[Message], bulk: int, deadline_ms: int | None
    ) -> None:
        self._target = target
        self._messages = messages
        self._bulk = bulk
        self._deadline_ms = deadline_ms
        self._ready: deque[Request] = deque()

    def fill(self, messages: int, stopped: Callable[[], bool]) -> None:
        """Renders requests that have ``messages`` messages together, before the load begins.

        The method stops early if the requests reach ``MAX_MESSAGES`` or ``MAX_BYTES``, or if
        ``stopped()`` is true.
        """
        requests = -(-min(messages, MAX_MESSAGES) // self._bulk)
        left = MAX_BYTES
        while len(self._ready) < requests and left > 0 and not stopped():
            self._ready.append(request := self._draw())
            left -= len(request.wire)

    def take(self) -> Request:
        """Returns the next request, and renders it now if no request is ready."""
        return self._ready.popleft() if self._ready else self._draw()

    def _draw(self) -> Request:
        messages = list(itertools.islice(self._messages, self._bulk))
        return Request(render(self._target, messages, self._bulk > 1, self._deadline_ms), messages)
