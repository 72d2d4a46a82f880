"""A departure decides whether the next chunk leaves at once, or a little later with more in it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from celery_app.client.dispatch.in_flight import InFlight
from celery_app.client.dispatch.latency_model import LatencyModel

#: While a chunk is under way, less work than this waits for it, but no longer than so many
#: seconds: a task has a price, and on a fast model the answer is there before.
WORTH_A_TASK, LINGER_S = 16, 0.005
#: Where each worker has a chunk, the next gathers until so many seconds before a worker is free:
#: what leaves sooner only waits there, and what comes later has to wait for it.
LEAD_S = 0.02


class FlushPolicy:
    """Says of what waits whether it may leave, and has it looked at again when it may."""

    def __init__(
        self,
        in_flight: InFlight,
        latency_model: LatencyModel,
        credits: int,
        workers: Callable[[], int],
        wake: Callable[[], None],
    ) -> None:
        """``workers()`` is how many workers there are; ``wake()`` has :meth:`due` asked again."""
        self._in_flight = in_flight
        self._latency_model = latency_model
        self._credits = credits
        self._workers = workers
        self._wake = wake
        self._timer: asyncio.TimerHandle | None = None
        #: When that is, in the loop's time. Not every loop's handles know it.
        self._due_at = 0.0

    def due(self, waiting: int) -> bool:
        """Return whether so much work may leave as a chunk now."""
        snapshot = self._in_flight.in_time
        if not snapshot:
            return True
        if len(snapshot) >= self._credits:
            return False
        rest_s = snapshot[-1].sent_at + LINGER_S - time.monotonic()
        if waiting >= WORTH_A_TASK:
            rest_s = 0.0
        if len(snapshot) >= self._workers():
            first = snapshot[0]
            back_s = self._latency_model.until_back(first.work, first.sent_at)
            rest_s = max(rest_s, back_s - LEAD_S)
        if rest_s <= 0:
            return True
        self._wait(rest_s)
        return False

    def _wait(self, seconds: float) -> None:
        """Look again after so many seconds, or sooner where others need it."""
        loop = asyncio.get_running_loop()
        due_at = loop.time() + seconds
        if self._timer is not None:
            if self._due_at <= due_at:
                return
            self._timer.cancel()
        self._timer, self._due_at = loop.call_later(seconds, self._waited), due_at

    def _waited(self) -> None:
        self._timer = None
        self._wake()
