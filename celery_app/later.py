"""Tasks that go back to the queue after a while."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from celery_app.task import ChunkRequest


class Later:
    """Gives requests back without keeping a thread from its work meanwhile."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._requests: list[ChunkRequest] = []
        self._closed = False
        self._timer: threading.Timer | None = None

    def add(self, requests: Sequence[ChunkRequest]) -> None:
        """Give these back in a while, with those that wait for it already."""
        with self._lock:
            self._requests.extend(requests)
            if self._requests and self._timer is None and not self._closed:
                self._timer = threading.Timer(self._seconds, self.give_back)
                self._timer.daemon = True
                self._timer.start()
        if self._closed:
            self.give_back()

    def close(self) -> None:
        """Give all back now, and what is added from now on at once."""
        self._closed = True
        self.give_back()

    def give_back(self) -> None:
        """Give all back now."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = None
            requests, self._requests = self._requests, []
        for request in requests:
            request.give_back()
