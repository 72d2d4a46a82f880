"""Gives tasks back to their queue after a delay, without blocking the model's thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from monitoring.instruments import background
from monitoring.instruments.request_ids import about
from tasks.chunk_request import ChunkRequest


class DelayedRequeue:
    """Collects requests, and gives them back to the broker together, after a fixed delay.

    The delay begins when the first of these requests is added.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._changed = threading.Condition()
        self._requests: list[ChunkRequest] = []
        #: Monotonic time at which the requests go back, in seconds.
        self._due = 0.0
        self._closed = threading.Event()
        self._failures = background.Failures("giving a task back")
        self._thread: threading.Thread | None = None

    def add(self, requests: Sequence[ChunkRequest]) -> None:
        """Adds requests, which a thread gives back later. Starts this thread if needed."""
        with self._changed:
            if requests and not self._requests:
                self._due = time.monotonic() + self._seconds
            self._requests.extend(requests)
            if self._requests and self._thread is None and not self._closed.is_set():
                self._thread = background.start(
                    self._give_back_due, "delayed requeue", self._closed
                )
            self._changed.notify()
        if self._closed.is_set():
            self._give_back()

    def close(self) -> None:
        """Gives all requests back now. Requests that are added later are given back at once."""
        self._closed.set()
        with self._changed:
            self._changed.notify()
        self._give_back()

    def _give_back_due(self) -> None:
        """Waits until there are requests and their delay is over. Then gives the requests back."""
        with self._changed:
            self._changed.wait_for(lambda: self._requests or self._closed.is_set())
            left_s = self._due - time.monotonic()
            self._changed.wait_for(self._closed.is_set, max(0.0, left_s))
        self._give_back()

    def _give_back(self) -> None:
        with self._changed:
            requests, self._requests = self._requests, []
        failed = []
        for request in requests:
            with about(request.request_ids):
                try:
                    request.give_back()
                except Exception as error:  # the other requests are still given back
                    self._failures.add(error)
                    failed.append(request)
        if failed and not self._closed.is_set():
            self.add(failed)
