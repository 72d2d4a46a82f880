"""Decides whether to send waiting messages as a chunk now, or a little later with more messages."""

from __future__ import annotations

import asyncio
import time

from celery_app.client.dispatch.in_flight import InFlight
from celery_app.client.dispatch.latency_model import LatencyModel
from celery_app.client.dispatch.limits import DispatchLimits
from celery_app.client.redis.model_registry import ModelRegistry

#: Amount of waiting work, in units of :mod:`tasks.work`, that is sent at once even while a chunk is
#: in flight. A smaller amount waits for more messages, since each Celery task has a fixed cost.
WORTH_A_TASK = 16
#: Longest time that a smaller amount of work waits, in seconds. If a chunk comes back sooner, the
#: work is sent sooner.
LINGER_S = 0.005
#: If every worker has a chunk, the next chunk is sent this many seconds before a worker is expected
#: to be free. If the chunk were sent earlier, it would only wait at the worker, without the
#: messages that come in the meantime.
LEAD_S = 0.02


class FlushPolicy:
    """Decides for one model version whether waiting messages are sent now, as a chunk.

    If a short delay is better, the policy wakes the dispatcher after the delay, and the dispatcher
    asks again.
    """

    def __init__(
        self,
        in_flight: InFlight,
        latency_model: LatencyModel,
        limits: DispatchLimits,
        model_registry: ModelRegistry,
        version: str,
        wake: asyncio.Event,
    ) -> None:
        """``limits`` say how many chunks may hold a credit (a permit to be in flight).

        The event ``wake`` wakes the dispatcher, which then calls :meth:`due` again.
        """
        self._in_flight = in_flight
        self._latency_model = latency_model
        self._limits = limits
        self._model_registry = model_registry
        self._version = version
        self._wake = wake
        self._timer: asyncio.TimerHandle | None = None
        #: The time at which the timer ends, by the event loop's clock. It is stored here, because
        #: the timers of some event loops can't tell this time.
        self._due_at = 0.0

    def due(self, waiting: int) -> bool:
        """Returns whether to send the waiting messages as a chunk now.

        ``waiting`` is the work of these messages. Its unit is one short message
        (:mod:`tasks.work`). While all credits (permits to have a chunk in flight) are taken, this
        method returns False and sets no timer.
        """
        in_flight = self._in_flight.with_credit
        if not in_flight:
            return True
        workers = self._model_registry.workers_of(self._version) or 1
        if len(in_flight) >= self._limits.credits_for(workers):
            return False
        rest_s = in_flight[-1].sent_at + LINGER_S - time.monotonic()
        if waiting >= WORTH_A_TASK:
            rest_s = 0.0
        if len(in_flight) >= workers:
            first = in_flight[0]
            back_s = self._latency_model.until_back(first.work, first.sent_at)
            rest_s = max(rest_s, back_s - LEAD_S)
        if rest_s <= 0:
            return True
        self._wake_in(rest_s)
        return False

    def _wake_in(self, seconds: float) -> None:
        """Wakes the dispatcher after ``seconds``, unless a timer that ends sooner is running."""
        loop = asyncio.get_running_loop()
        due_at = loop.time() + seconds
        if self._timer is not None:
            if self._due_at <= due_at:
                return
            self._timer.cancel()
        self._timer, self._due_at = loop.call_later(seconds, self._timer_ended), due_at

    def _timer_ended(self) -> None:
        self._timer = None
        self._wake.set()
