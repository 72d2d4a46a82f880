"""Computes batches of tasks, stores their results, and acknowledges, fails or requeues the tasks.

The tasks run through Celery's own tracer (:mod:`celery_app.worker.celery_tracer`). So results,
callbacks, chords, signals and failures work as in other Celery workers.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

from celery.worker import state
from redis import RedisError

from celery_app.worker import batch_spans
from celery_app.worker.celery_tracer import Traced, exception_info, trace
from celery_app.worker.delayed_requeue import DelayedRequeue
from celery_app.worker.waiting_tasks import LargeTask, NextBatch
from model.types import DeviceLost
from monitoring.instruments import tracing
from monitoring.instruments.request_ids import about
from tasks.attribute import AttributeTask
from tasks.batch.in_flight import InFlightBatch
from tasks.chunk_request import ChunkRequest
from tasks.errors import InternalError

logger = logging.getLogger(__name__)

#: Delay before tasks go back to the queue after the first failure to store results, in seconds.
FIRST_RETRY_S = 0.2
#: Longest delay before tasks go back, in seconds. The delay doubles with each failure in a row.
LONGEST_RETRY_S = 5.0
#: Exit status of a worker whose device or model fails.
EXIT_FAILURE = 1


class Batch(NamedTuple):
    """A batch that the model's device is computing, with its requests."""

    #: All requests that were taken from the waiting tasks.
    requests: Sequence[ChunkRequest]
    #: The requests that were not revoked.
    live: Sequence[ChunkRequest]
    in_flight: InFlightBatch
    #: Monotonic time at which the batch was begun, in seconds.
    started: float
    #: The large task, if the batch is one of its passes; None for a batch of small tasks.
    large: LargeTask | None

    @property
    def complete(self) -> bool:
        """Whether this batch is the last batch that its requests need.

        The request of a large task needs several batches. Any other request needs one batch.
        """
        return self.large is None or not self.live or self.large.progress.complete


class RestQueue(Protocol):
    """The part of the batcher that takes back a task which needs several batches."""

    def add_rest(self, large: LargeTask) -> None:
        """Takes back a large task after one of its batches.

        If the worker is ending, the task goes back to the broker.
        """


class BatchRunner:
    """Computes batches in the model's thread.

    Other threads may call only ``close``, and may read only the public attributes.
    """

    def __init__(
        self, task: AttributeTask, max_work: int, rest_queue: RestQueue, closed: threading.Event
    ) -> None:
        """``max_work`` limits the work of a batch, in units of one short message.

        The event ``closed`` is set when the worker ends. ``rest_queue`` takes back a large task
        after each of its batches except the last one.
        """
        self._task = task
        self._max_work = max_work
        self._rest_queue = rest_queue
        self._closed = closed
        #: Seconds that the last batch of small tasks took per unit of work.
        self.seconds_per_work = 0.0
        #: The ids of the HTTP requests of the batch handled last, as task headers hold them.
        self.request_ids: Sequence[Any] = ()
        #: Delay, in seconds, before tasks go back after the next failure to store results.
        self.retry_s = FIRST_RETRY_S
        #: Monotonic time at which the thread last showed that it is alive; None while it is idle.
        self._alive_at: float | None = None
        #: Tasks that wait to be given back, because the cache can't be reached.
        self._delayed_requeue = DelayedRequeue(LONGEST_RETRY_S)

    @property
    def silent_s(self) -> float:
        """Seconds since the model's thread last showed that it is alive; 0 if it has no batch."""
        alive_at = self._alive_at
        return 0.0 if alive_at is None else time.monotonic() - alive_at

    def note_idle(self) -> None:
        """Records that the model's thread has no batch, so that it does not count as hung."""
        self._alive_at = None

    def _note_alive(self) -> None:
        self._alive_at = time.monotonic()

    def close(self) -> None:
        """Gives the tasks that wait for a delayed requeue back to the broker at once."""
        self._delayed_requeue.close()

    def begin(self, taken: NextBatch) -> Batch | None:
        """Starts a batch on the device, and returns the batch.

        Returns None after an error. Also returns None if ``taken`` has no requests, or if all its
        requests are requeued because the cache can't be reached.
        """
        requests, large = taken
        if self._task.cache_cooldown.resting:
            requests = self._requeue_without_cache(requests)
        if not requests:
            return None
        started = time.monotonic()
        self._note_alive()
        with self._handling_errors(requests, started):
            live = [request for request in requests if not request.revoked()]
            if large is None or not large.started:
                for request in live:
                    request.on_accepted(os.getpid(), started)
            if large is not None and live:
                large.started = large.started or started
                in_flight = self._begin_pass(large)
            else:
                in_flight = self._task.begin([request.chunk for request in live if request.chunk])
            return Batch(requests, live, in_flight, started, large)

    def _begin_pass(self, large: LargeTask) -> InFlightBatch:
        if large.request.orphaned:
            return self._task.begin_alone(large.progress, self._max_work, self._note_alive)
        return self._task.begin_part(large.progress, self._max_work)

    def _requeue_without_cache(self, requests: Sequence[ChunkRequest]) -> list[ChunkRequest]:
        """Requeues, after a delay, the requests that need the cache. Returns the other requests.

        Called while the cache can't be reached. The other requests need only a reply.
        """
        # Celery's results are stored in the cache. The messages of an orphaned task are tried one
        # at a time, and the trials are counted in the cache.
        requeued = [request for request in requests if request.orphaned or request.wants_result]
        self._delayed_requeue.add(requeued)
        return [request for request in requests if request not in requeued]

    def finish(self, batch: Batch) -> None:
        """Waits for the batch's outcomes, stores them, and acknowledges the finished tasks."""
        traced: list[Traced] = []
        self._note_alive()
        with self._handling_errors(batch.requests, batch.started):
            traced = self._store(batch)
            if tracing.tracer is not None:
                batch_spans.record(tracing.tracer, batch)
            self.retry_s = FIRST_RETRY_S
            if batch.large is not None and not batch.complete:
                self._rest_queue.add_rest(batch.large)
        if not traced:
            return  # the batch failed, every request was revoked, or more passes follow
        # Celery logs this time for each task. The time that the tracer measures lacks the batch.
        seconds = time.monotonic() - (batch.large.started if batch.large else batch.started)
        if batch.large is None:
            self.seconds_per_work = seconds / max(1, sum(request.work for request in batch.live))
        for request, failed, result in traced:
            with _isolating(request):
                # Celery's name for the end of a task; ``failed`` says whether the task failed.
                request.on_success((failed, result, seconds))

    def _store(self, batch: Batch) -> list[Traced]:
        """Stores the batch's results and sends its replies. Returns the tasks to acknowledge.

        If the cache is a separate server and can't be reached, requeues the tasks whose clients
        want Celery's result. The other tasks need only a reply, through the broker.
        """
        cooldown, outcomes, traced = self._task.cache_cooldown, [], []
        stored = not cooldown.resting
        try:
            with self._task.backend.round_trip() as pipe:
                outcomes = self._task.finish(batch.in_flight, pipe)
                if batch.complete:
                    traced = [trace(self._task, request) for request in batch.live]
                if not stored:
                    pipe.reset()
        except RedisError as error:
            if not self._task.has_separate_cache:
                raise
            logger.warning("the results of %d tasks can't be stored: %s", len(batch.live), error)
            cooldown.failed()
            stored = False
        if batch.large is not None:
            stored = batch.large.stored = stored and batch.large.stored
        # Replies and pending results (outcomes kept for clients) are stored at the broker, so they
        # also work while a separate cache can't be reached.
        self._task.reply(batch.in_flight, outcomes)
        if stored:
            return traced
        unstored = [each.request for each in traced if each.request.wants_result]
        self._delayed_requeue.add(unstored)
        return [each for each in traced if each.request not in unstored]

    @contextmanager
    def _handling_errors(self, requests: Sequence[ChunkRequest], started: float) -> Iterator[None]:
        """Catches any error of the ``with`` block, which computes or stores a batch.

        If Redis fails or the device is lost, the ``requests`` of the batch go back to the queue.
        After any other error, they fail. ``started`` is the batch's monotonic start time, in
        seconds.
        """
        self.request_ids = [id for request in requests for id in request.request_ids]
        # Log lines within the block name the HTTP requests that brought the messages.
        with about(self.request_ids):
            try:
                yield
            except Exception as error:
                if tracing.tracer is not None:
                    batch_spans.record_failure(tracing.tracer, requests, started, error)
                self._handle(requests, error)

    def _handle(self, requests: Sequence[ChunkRequest], error: Exception) -> None:
        if isinstance(error, RedisError):
            self._give_back(requests, error)
        elif isinstance(error, DeviceLost):
            logger.critical("%s; %d tasks go back, and the worker ends", error, len(requests))
            for request in requests:
                request.give_back()
            state.should_stop = EXIT_FAILURE
        else:
            logger.exception("%d tasks failed", len(requests))
            self._fail([request for request in requests if not request.acknowledged])

    def _give_back(self, requests: Sequence[ChunkRequest], error: RedisError) -> None:
        """Gives requests back to the queue after a pause, because their results can't be stored.

        If broker and cache are one server, waits until the pause has ended. If not, returns at
        once, and another thread gives the requests back.
        """
        if self._task.has_separate_cache:  # meanwhile, other tasks can get their replies
            self._task.cache_cooldown.failed()
            self._delayed_requeue.add(requests)
            return
        line = "%d tasks go back to the queue in %.1f s, since nothing could be stored: %s"
        logger.warning(line, len(requests), self.retry_s, error)
        self._closed.wait(self.retry_s)
        self.retry_s = min(2 * self.retry_s, LONGEST_RETRY_S)
        for request in requests:
            request.give_back()

    def _fail(self, requests: Sequence[ChunkRequest]) -> None:
        error = InternalError("the batch failed; the worker's log says why")
        try:
            self._task.fail_all([request.chunk for request in requests if request.chunk], error)
        except RedisError as redis_error:
            self._give_back(requests, redis_error)
            return
        for request in requests:
            with _isolating(request):
                request.on_failure(exception_info(error))


@contextmanager
def _isolating(request: ChunkRequest) -> Iterator[None]:
    """Catches and logs any error of the ``with`` block, so that other requests are handled.

    The block tells Celery that the task of ``request`` has ended. After an error, the task goes
    back to the broker, unless it is acknowledged.
    """
    with about(request.request_ids):
        try:
            yield
        except Exception:
            logger.exception("the end of the task %s could not be reported", request.id)
            if not request.acknowledged:
                request.give_back()
