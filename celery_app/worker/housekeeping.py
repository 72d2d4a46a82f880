"""What a worker sees to every few seconds: it reports its answers, and heeds the memory."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from celery import bootsteps
from celery.signals import worker_shutdown
from celery.worker import state
from celery.worker.components import Pool
from redis import Redis, RedisError
from redis import TimeoutError as RedisTimeoutError

from celery_app.settings import GIB, Settings
from monitoring.instruments import background, processes
from monitoring.instruments.background import guarded
from monitoring.instruments.metrics import WorkerMetrics
from monitoring.state import pressure
from monitoring.state.prediction_stats import PredictionStats
from monitoring.state.windows import ANSWERS, LABELS, Window
from tasks.storage import pending_results, wrong_type

logger = logging.getLogger(__name__)

#: Seconds between two times.
UPKEEP_S = 2.0

Step = type[bootsteps.StartStopStep]


class Upkeep:
    """Reports, heeds and weighs. Called by a thread of its own: what it asks may not answer."""

    def __init__(
        self,
        settings: Settings,
        broker: Redis,
        cache: Redis,
        prediction_stats: PredictionStats,
        version: Callable[[], str],
        metrics: WorkerMetrics,
    ) -> None:
        """``broker`` and ``cache`` do not try again: a report that was taken is not sent twice."""
        limit = settings.worker_memory_gb
        self._limit = None if limit is None else round(limit * GIB)
        self._pressure = pressure.key(settings.here)
        self._broker = broker
        self._cache = cache
        self._prediction_stats = prediction_stats
        self._version = version
        self._metrics = metrics
        self._answers = Window(ANSWERS, settings.quality_window_s)
        self._labels = Window(LABELS, settings.feedback_window_s)

    def steps(self, batcher: Any) -> list[Callable[[], None]]:
        """Return what is to be done every few seconds. One that fails keeps none from its turn."""
        return [
            guarded(self.report, "to report what was answered"),
            guarded(partial(self.heed, batcher), "to heed the memory"),
            guarded(self.weigh, "to weigh the worker"),
            guarded(self.expire, "to end promises whose time is over"),
        ]

    def report(self) -> None:
        """Have Redis add what the model answered since the last time."""
        counts = self._prediction_stats.take()
        if not counts:
            return
        try:
            with self._cache.pipeline(transaction=False) as pipe:
                self._answers.add(pipe, self._version(), counts)
                self._labels.add(pipe, self._version(), {"messages": counts.get("messages", 0)})
                pipe.execute()
        except RedisTimeoutError:  # it may have been added: rather too few than twice
            logger.warning("it is not known whether what was answered was reported")
        except RedisError as error:
            logger.warning("what was answered can't be reported yet: %s", error)
            self._prediction_stats.put_back(counts)

    def heed(self, batcher: Any) -> None:
        """Have memory freed between batches where the machine is short of it."""
        self._metrics.waiting.set(batcher.waiting)
        try:
            memory = pressure.read(wrong_type.get(self._broker, self._pressure))
        except RedisError as error:
            logger.warning("how full the memory is can't be read: %s", error)
            return
        batcher.spare(memory is not None and memory.level != "ok")

    def weigh(self) -> None:
        """End the worker, after its batch, where it has grown past its own limit."""
        if state.should_stop is None and (size := self._too_much()):
            logger.critical("%s: it is replaced", self._words(size))
            state.should_stop = os.EX_TEMPFAIL

    def expire(self) -> None:
        """End promises that nobody has fetched in time."""
        try:
            pending_results.expire(self._broker)
        except RedisError as error:
            logger.warning("promises whose time is over can't be ended yet: %s", error)

    def refuse_limit(self) -> None:
        """End the worker, which has loaded its model, where its limit leaves no room for it."""
        if size := self._too_much():
            logger.critical("%s, and it has done nothing yet", self._words(size))
            raise SystemExit(1)

    def _too_much(self) -> int:
        """Return what the worker has, in bytes; 0 where it may have that."""
        # What is resident costs little to ask for, and is never less than what counts.
        if self._limit is None or processes.resident(os.getpid()) < self._limit:
            return 0
        size = processes.memory(os.getpid())
        return size if size >= self._limit else 0

    def _words(self, size: int) -> str:
        has, may = size / 2**20, (self._limit or 0) / 2**20
        return f"the worker has {has:.0f} MB, BYLINE_WORKER_MEMORY_GB allows {may:.0f}"


def upkeep_step(upkeep: Upkeep, after: Step) -> Step:
    """Return the step that has a thread see to it; it starts after the step ``after``."""

    class UpkeepStep(bootsteps.StartStopStep):
        requires = (Pool, after)

        def start(self, worker: Any) -> None:
            upkeep.refuse_limit()
            self.stopping = threading.Event()
            steps, stopping = upkeep.steps(worker.batcher), self.stopping

            def see_to_all() -> None:
                if not stopping.wait(UPKEEP_S):
                    for step in steps:
                        step()

            background.start(see_to_all, "upkeep", stopping)
            # When the pool has finished its last batch.
            worker_shutdown.connect(lambda **_: upkeep.report(), weak=False)

        def stop(self, worker: Any) -> None:
            self.stopping.set()

        terminate = stop

    return UpkeepStep
