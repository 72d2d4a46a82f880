"""Tasks that go back to the queue after a while."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from monitoring.instruments import background
from monitoring.instruments.request_ids import about
from tasks.chunk_request import ChunkRequest


class DelayedRequeue:
    """Gives requests back without keeping a thread from its work meanwhile."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._changed = threading.Condition()
        self._requests: list[ChunkRequest] = []
        #: Monotonic time at which they go back, in seconds.
        self._due = 0.0
        self._closed = threading.Event()
        self._failures = background.Failures("giving a task back")
        self._thread: threading.Thread | None = None

    def add(self, requests: Sequence[ChunkRequest]) -> None:
        """Give these back in a while, with those that wait for it already."""
        with self._changed:
            if requests and not self._requests:
                self._due = time.monotonic() + self._seconds
            self._requests.extend(requests)
            if self._requests and self._thread is None and not self._closed.is_set():
                self._thread = background.start(self._wait, "later", self._closed)
            self._changed.notify()
        if self._closed.is_set():
            self._give_back()

    def close(self) -> None:
        """Give all back now, and what is added from now on at once."""
        self._closed.set()
        with self._changed:
            self._changed.notify()
        self._give_back()

    def _wait(self) -> None:
        """Wait until there is something to be given back, and until it is due."""
        with self._changed:
            self._changed.wait_for(lambda: self._requests or self._closed.is_set())
            left_s = self._due - time.monotonic()
            self._changed.wait_for(self._closed.is_set, max(0.0, left_s))
        self._give_back()

    def _give_back(self) -> None:
        with self._changed:
            requests, self._requests = self._requests, []
        kept = []
        for request in requests:
            with about(request.request_ids):
                try:
                    request.give_back()
                except Exception as error:  # the others are given back all the same
                    self._failures.add(error)
                    kept.append(request)
        if kept and not self._closed.is_set():
            self.add(kept)
