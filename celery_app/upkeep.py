"""What a worker sees to every few seconds: it reports its answers, and heeds the memory."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import Any

from celery import bootsteps
from celery.worker import state
from celery.worker.consumer.tasks import Tasks
from redis import Redis, RedisError

from celery_app.settings import GIB, Settings
from monitoring import pressure, processes
from monitoring.metrics import WorkerMetrics
from monitoring.tally import Tally
from monitoring.windows import ANSWERS, LABELS, Window

logger = logging.getLogger(__name__)

#: Seconds between two times.
UPKEEP_S = 2.0

Step = type[bootsteps.StartStopStep]


class Upkeep:
    """See above. Called by Celery's main loop."""

    def __init__(
        self,
        settings: Settings,
        broker: Redis,
        cache: Redis,
        tally: Tally,
        version: Callable[[], str],
        metrics: WorkerMetrics,
    ) -> None:
        limit = settings.worker_memory_gb
        self._limit = None if limit is None else round(limit * GIB)
        self._pressure = pressure.key(settings.here)
        self._broker = broker
        self._cache = cache
        self._tally = tally
        self._version = version
        self._metrics = metrics
        self._answers = Window(ANSWERS, settings.quality_window_s)
        self._labels = Window(LABELS, settings.feedback_window_s)

    def report(self) -> None:
        """Have Redis add what the model answered since the last time."""
        counts = self._tally.take()
        if not counts:
            return
        try:
            with self._cache.pipeline(transaction=False) as pipe:
                self._answers.add(pipe, self._version(), counts)
                self._labels.add(pipe, self._version(), {"messages": counts.get("messages", 0)})
                pipe.execute()
        except RedisError as error:
            logger.warning("what was answered can't be reported yet: %s", error)
            self._tally.put_back(counts)

    def heed(self, batcher: Any) -> None:
        """Have memory freed between batches where the machine is short of it."""
        self._metrics.waiting.set(batcher.waiting)
        try:
            memory = pressure.read(self._broker.get(self._pressure))
        except RedisError as error:
            logger.warning("how full the memory is can't be read: %s", error)
            return
        batcher.frugal = memory is not None and memory.level != "ok"

    def weigh(self) -> None:
        """End the worker, after its batch, where it has grown past its own limit."""
        if self._limit is None or state.should_stop is not None:
            return
        # What is resident costs little to ask for, and is never less than what counts.
        if processes.resident(os.getpid()) < self._limit:
            return
        size = processes.memory(os.getpid())
        if size >= self._limit:
            words = "the worker has %.0f MB, BYLINE_WORKER_MEMORY_GB allows %.0f: it is replaced"
            logger.critical(words, size / 2**20, self._limit / 2**20)
            state.should_stop = os.EX_TEMPFAIL


def upkeep_step(upkeep: Upkeep) -> Step:
    """Return the step that calls it, for as long as Celery consumes."""

    class UpkeepStep(bootsteps.StartStopStep):
        requires = (Tasks,)
        timer: Any = None

        def start(self, consumer: Any) -> None:
            def see_to_it() -> None:
                upkeep.report()
                upkeep.heed(consumer.controller.batcher)
                upkeep.weigh()

            self.timer = consumer.timer.call_repeatedly(UPKEEP_S, see_to_it)

        def stop(self, consumer: Any) -> None:
            if self.timer is not None:
                self.timer.cancel()
                upkeep.report()

    return UpkeepStep
