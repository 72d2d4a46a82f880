"""A worker's regular jobs, every few seconds: reports of predictions, and checks of memory."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from functools import partial

from celery.worker import state
from redis import Redis, RedisError
from redis import TimeoutError as RedisTimeoutError

from celery_app.settings import GIB, Settings
from celery_app.worker.batcher import Batcher
from monitoring.instruments import processes
from monitoring.instruments.background import guarded
from monitoring.instruments.metrics import WorkerMetrics
from monitoring.state import machine_memory
from monitoring.state.prediction_stats import PredictionStats
from monitoring.state.windows import ANSWERS, LABELS, Window
from tasks.feedback.kept_texts import KeptTexts
from tasks.storage import pending_results, wrong_type

logger = logging.getLogger(__name__)


class Housekeeping:
    """The regular jobs of a worker. A separate thread runs them, since Redis may be slow."""

    def __init__(
        self,
        settings: Settings,
        broker: Redis,
        cache: Redis,
        prediction_stats: PredictionStats,
        version: Callable[[], str],
        metrics: WorkerMetrics,
    ) -> None:
        """``broker`` and ``cache`` are Redis clients that must not retry a command.

        With a retry, Redis might count a report of predictions twice.

        ``version()`` returns the model version that this worker serves.
        """
        limit = settings.worker_memory_gb
        self._limit = None if limit is None else round(limit * GIB)
        self._pressure = machine_memory.key(settings.here)
        self._broker = broker
        self._cache = cache
        self._prediction_stats = prediction_stats
        self._version = version
        self._metrics = metrics
        self._answers = Window(ANSWERS, settings.quality_window_s)
        self._labels = Window(LABELS, settings.feedback_window_s)
        self._kept_texts = KeptTexts(cache)

    def jobs(self, batcher: Batcher) -> list[Callable[[], None]]:
        """Returns the jobs to run every few seconds. A job that fails does not stop the others."""
        return [
            guarded(self.report_predictions, "the report of predictions"),
            guarded(partial(self.check_machine_memory, batcher), "the check of the memory"),
            guarded(self.check_worker_memory, "the check of the worker's memory"),
            guarded(self.expire_pending_results, "the deletion of expired pending results"),
            guarded(self.expire_kept_texts, "the deletion of kept texts"),
        ]

    def report_predictions(self) -> None:
        """Adds the predictions made since the last report to the counts in Redis."""
        counts = self._prediction_stats.take()
        if not counts:
            return
        try:
            with self._cache.pipeline(transaction=False) as pipe:
                self._answers.add(pipe, self._version(), counts)
                self._labels.add(pipe, self._version(), {"messages": counts.get("messages", 0)})
                pipe.execute()
        except RedisTimeoutError:  # Redis may have the counts: sent again, they would count twice
            logger.warning("a report of predictions may be lost: Redis did not answer in time")
        except RedisError as error:
            logger.warning("predictions can't be reported yet: %s", error)
            self._prediction_stats.put_back(counts)

    def check_machine_memory(self, batcher: Batcher) -> None:
        """Tells the batcher whether the machine's memory is short.

        While memory is short, the batcher frees device memory between batches. This method also
        updates the metric of waiting messages.
        """
        self._metrics.waiting.set(batcher.waiting)
        try:
            memory = machine_memory.read(wrong_type.get(self._broker, self._pressure))
        except RedisError as error:
            logger.warning("the machine's memory pressure can't be read: %s", error)
            return
        batcher.set_memory_is_short(memory is not None and memory.level != "ok")

    def check_worker_memory(self) -> None:
        """Ends the worker after its current batch if the worker has reached its memory limit."""
        if state.should_stop is None and (size := self._excess_size()):
            logger.critical("%s: the worker ends, to be replaced", self._describe(size))
            state.should_stop = os.EX_TEMPFAIL

    def expire_pending_results(self) -> None:
        """Deletes the pending results (outcomes kept for clients) whose time to live has ended."""
        try:
            pending_results.expire(self._broker)
        except RedisError as error:
            logger.warning("expired pending results can't be deleted yet: %s", error)

    def expire_kept_texts(self) -> None:
        """Deletes the kept texts (messages with feedback) that have expired.

        Does this even while ``BYLINE_KEEP_FEEDBACK`` is not set, because texts may have been kept
        when it was set.
        """
        try:
            self._kept_texts.expire()
        except RedisError as error:
            logger.warning("kept texts can't be deleted yet: %s", error)

    def refuse_low_limit(self) -> None:
        """Ends the worker if the loaded model alone already reaches the worker's memory limit."""
        if size := self._excess_size():
            logger.critical("%s, before its first batch", self._describe(size))
            raise SystemExit(1)

    def _excess_size(self) -> int:
        """Returns the worker's memory use in bytes if it has reached the memory limit, otherwise 0.

        Also returns 0 if the worker has no limit.
        """
        # Resident memory is cheap to read, and never less than the memory that the limit is for.
        if self._limit is None or processes.resident(os.getpid()) < self._limit:
            return 0
        size = processes.memory(os.getpid())
        return size if size >= self._limit else 0

    def _describe(self, size: int) -> str:
        has_mb, limit_mb = size / 2**20, (self._limit or 0) / 2**20
        return f"the worker has {has_mb:.0f} MB, BYLINE_WORKER_MEMORY_GB allows {limit_mb:.0f}"
