"""From chunks to batches: what arrives while the model computes is its next batch.

Celery receives as it always does: its default strategy checks expiry and revocation, sends the
events, keeps ETAs. Only the last step is ours: a request for :data:`~tasks.messages.TASK` goes to
the :class:`Batcher` instead of to the pool. The pool's one thread owns the model; as soon as it is
free it takes all that has gathered, up to the largest batch, and runs each request through Celery's
own tracer, so that results, callbacks, chords, signals and failures are Celery's too.

A batch is limited by the work of its messages (:mod:`tasks.work`), so that long texts and evidence
make it no longer than many short texts do. A task of more work than that is computed in passes, and
what else has gathered in batches between them. What a pass computed is in the cache at once; the
task is acknowledged after the last one.

A device that computes by itself, as a GPU does, is given the next batch before the answers of the
last are seen to: while it computes, the thread stores, replies, reads the cache and tokenises.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from celery.worker import state
from redis import RedisError

from celery_app.worker.delayed_requeue import DelayedRequeue
from celery_app.worker.tracing import Traced, exception_info, trace
from celery_app.worker.waiting_tasks import LARGE_HELD, Batch, LargeTask, Taken, Waiting
from model.types import DeviceLost
from monitoring.instruments.request_ids import about
from tasks.attribute import AttributeTask
from tasks.batch import InFlightBatch
from tasks.chunk_request import ChunkRequest
from tasks.errors import InternalError

logger = logging.getLogger(__name__)

#: Seconds before tasks whose results could not be stored are delivered again: at first, at most.
FIRST_RETRY_S = 0.2
LONGEST_RETRY_S = 5.0
#: Seconds between two times that memory is freed: what is freed is soon asked for again.
FREE_S = 5.0
#: Batches that follow on each other before the pool's thread may do something else.
IN_A_ROW = 100
#: Exit status of a worker whose device or model fails.
EXIT_FAILURE = 1

Submit = Callable[..., Any]


class Batcher:
    """Gathers requests and has the model's thread work through them, a batch at a time."""

    def __init__(
        self,
        task: AttributeTask,
        submit: Submit,
        limit: int,
        wait_s: float,
        hold_s: float,
        overlaps: Callable[[], bool],
    ) -> None:
        """``submit(target)`` runs ``target`` in the model's thread; ``limit`` is a batch's work.

        ``hold_s`` is how long messages may have to wait here, by the pace of the last batch.
        ``overlaps()`` tells, in that thread, whether the device computes while the thread goes on.
        """
        self._task = task
        self._overlaps = overlaps
        self._submit = submit
        self._limit = limit
        self._wait_s = wait_s
        self._hold_s = hold_s
        #: Seconds that a message's worth of the last batch took.
        self._pace_s = 0.0
        self._waiting = Waiting(limit)
        #: Monotonic time since when something waits, in seconds.
        self._since = 0.0
        #: Is memory to be freed between batches?
        self._frugal = False
        self._freed_at = -FREE_S
        self._changed = threading.Condition()
        self._running = False
        self._closed = False
        #: Monotonic time of the last sign of life from the model's thread, in seconds; None: idle.
        self._alive_at: float | None = None
        #: The ids of the requests of the batch that it saw to last, as their headers have them.
        self.request_ids: Sequence[Any] = ()
        #: Seconds to wait before the next batch that can't be stored is given back.
        self._retry_s = FIRST_RETRY_S
        #: Computed, and to be found later by others, but the cache is gone.
        self._delayed_requeue = DelayedRequeue(LONGEST_RETRY_S)

    def add(self, request: ChunkRequest) -> None:
        """Take a request; wake the model's thread if it is idle. Called by Celery's main loop."""
        with self._changed:
            if not self._closed:
                if not self._waiting:
                    self._since = time.monotonic()
                self._waiting.add(request)
                self._changed.notify()
                self._wake()
                return
        request.give_back()

    def has_room(self) -> bool:
        """Return whether less than two batches wait, and no more than can soon be seen to.

        What waits here can't go to another worker, and is delivered to one all the same where it
        waits for longer than the visibility timeout. Large tasks count as one pass: what comes
        behind them need not wait for more. Nor need it wait for tasks that it goes before.
        """
        large = self._waiting.large
        waiting = self._waiting.pressing + self._waiting.alone + min(large, self._limit)
        soon = (waiting + self._waiting.behind) * self._pace_s < self._hold_s
        return soon and waiting < 2 * self._limit and large < LARGE_HELD

    def wants_pressing_only(self) -> bool:
        """Return whether two batches' worth of tasks wait that others go before."""
        return self._waiting.behind >= 2 * self._limit

    def spare(self, frugal: bool) -> None:
        """Have memory freed between batches from now on, or no longer; where idle, at once."""
        with self._changed:
            self._frugal = frugal
            if self._is_due() and not self._running and not self._closed:
                self._start()

    @property
    def waiting(self) -> int:
        """How many messages wait here."""
        return self._waiting.messages

    @property
    def silent_s(self) -> float:
        """Seconds since the model's thread, busy, was heard of; 0 where it has nothing to do."""
        alive_at = self._alive_at
        return 0.0 if alive_at is None else time.monotonic() - alive_at

    def _alive(self) -> None:
        self._alive_at = time.monotonic()

    def close(self) -> None:
        """Give back what no batch has taken. The batch that is being computed goes on."""
        with self._changed:
            self._closed = True
            given_back = self._waiting.clear()
            self._changed.notify()
        for request in given_back:
            request.give_back()
        self._delayed_requeue.close()

    def _wake(self) -> None:
        if not self._running and self._waiting:
            self._start()

    def _start(self) -> None:
        self._submit(self._run)
        self._running = True

    def _run(self) -> None:
        try:
            self._work()
            self._free()
        except Exception:  # the last resort: whatever it was, the next batch must run
            with about(self.request_ids):
                logger.exception("a batch broke; its tasks are delivered again")
        finally:
            with self._changed:
                self._alive_at = None
                self._running = False
                self._wake()

    def _free(self) -> None:
        """Give back what the device keeps for the next batches, now and then."""
        if self._is_due():
            self._freed_at = time.monotonic()
            self._task.rest()

    def _is_due(self) -> bool:
        return self._frugal and time.monotonic() > self._freed_at + FREE_S

    def _work(self) -> None:
        """Work through one batch, and where the device overlaps, through those that follow on it.

        Whatever becomes of one batch, the other one is finished.
        """
        computing = self._begin(self._take(self._wait_s))
        for _ in range(IN_A_ROW):
            if not (computing and self._overlaps() and self._waiting):
                break
            with ExitStack() as stack:
                stack.callback(self._finish, computing)
                computing = None
                computing = self._begin(self._take(0.0))
        if computing:
            self._finish(computing)

    def _take(self, wait_s: float) -> Taken:
        """Return the requests of the next batch. None where all were given back meanwhile."""
        with self._changed:
            if wait_s:
                rest_s = self._since + wait_s - time.monotonic()
                self._changed.wait_for(self._full, max(0.0, rest_s))
            taken = self._waiting.take()
            self._since = time.monotonic()
            if taken.large is not None and taken.large.request.orphaned:
                self._task.count_batch("alone")
            elif taken.requests:
                self._task.count_batch("full" if taken.large or self._waiting else "drained")
            return taken

    def _full(self) -> bool:
        return self._closed or self._waiting.is_full

    def _begin(self, taken: Taken) -> Batch | None:
        """Have the device begin with the requests; None where there is nothing to wait for."""
        requests, large = taken
        if self._task.cache_gone.resting:
            requests = self._can_be_answered(requests)
        if not requests:
            return None
        started = time.monotonic()
        self._alive()
        with self._settled(requests):
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
            return self._task.begin_alone(large.progress, self._limit, self._alive)
        return self._task.begin_part(large.progress, self._limit)

    def _can_be_answered(self, requests: Sequence[ChunkRequest]) -> list[ChunkRequest]:
        """Return those for which a reply is enough; the others come again.

        With the cache gone, no result can be stored, nor what workers died of be found.
        """
        later = [request for request in requests if request.orphaned or request.wants_result]
        self._delayed_requeue.add(later)
        return [request for request in requests if request not in later]

    def _finish(self, batch: Batch) -> None:
        """Wait for the batch's answers, store them, and acknowledge what has all of them."""
        traced: list[Traced] = []
        self._alive()
        with self._settled(batch.requests):
            traced = self._stored(batch)
            self._retry_s = FIRST_RETRY_S
            if batch.large is not None and not batch.complete:
                self._go_on_with(batch.large)
        if not traced:
            return  # it broke, every request was revoked, or more passes follow
        # The tracer's own time leaves out the batch.
        seconds = time.monotonic() - (batch.large.started if batch.large else batch.started)
        if batch.large is None:
            self._pace_s = seconds / max(1, sum(request.work for request in batch.live))
        for request, failed, result in traced:
            with _apart(request):
                # Celery's name: it tells failures apart, and acknowledges either.
                request.on_success((failed, result, seconds))

    def _go_on_with(self, large: LargeTask) -> None:
        with self._changed:
            if not self._closed:
                self._waiting.add_rest(large)
                return
        large.request.give_back()

    @contextmanager
    def _settled(self, requests: Sequence[ChunkRequest]) -> Iterator[None]:
        """Where the block raises, see that each of its requests is given back, or fails.

        What is logged meanwhile names the HTTP requests that the messages came with.
        """
        self.request_ids = [id for request in requests for id in request.request_ids]
        with about(self.request_ids):
            try:
                yield
            except RedisError as error:
                self._give_back(requests, error)
            except DeviceLost as error:
                logger.critical("%s; %d tasks go back, and the worker ends", error, len(requests))
                for request in requests:
                    request.give_back()
                state.should_stop = EXIT_FAILURE
            except Exception:
                logger.exception("%d tasks failed", len(requests))
                self._fail([request for request in requests if not request.acknowledged])

    def _give_back(self, requests: Sequence[ChunkRequest], error: RedisError) -> None:
        """Nothing could be stored: have it all delivered again, but not in a hot loop."""
        if self._task.answers_apart:  # others can be answered meanwhile
            self._task.cache_gone.failed()
            self._delayed_requeue.add(requests)
            return
        words = "%d tasks go back to the queue in %.1f s, nothing stored: %s"
        logger.warning(words, len(requests), self._retry_s, error)
        with self._changed:
            self._changed.wait_for(lambda: self._closed, self._retry_s)
        self._retry_s = min(2 * self._retry_s, LONGEST_RETRY_S)
        for request in requests:
            request.give_back()

    def _stored(self, batch: Batch) -> list[Traced]:
        """Return what Celery's tracer made of the requests that are seen to: stored, as a rule.

        With the cache gone, on a server of its own, api processes and promises, which are at the
        broker, are answered all the same. A task whose result is wanted goes back to the queue.
        """
        gone, outcomes, traced = self._task.cache_gone, [], []
        stored = not gone.resting
        try:
            with self._task.backend.round_trip() as pipe:
                outcomes = self._task.finish(batch.in_flight, pipe)
                if batch.complete:
                    traced = [trace(self._task, request) for request in batch.live]
                if not stored:
                    pipe.reset()
        except RedisError as error:
            if not self._task.answers_apart:
                raise
            logger.warning("%d tasks can't be stored: %s", len(batch.live), error)
            gone.failed()
            stored = False
        if batch.large is not None:
            stored = batch.large.stored = stored and batch.large.stored
        self._task.reply(batch.in_flight, outcomes)
        if stored:
            return traced
        kept = [t.request for t in traced if t.request.wants_result]
        self._delayed_requeue.add(kept)
        return [each for each in traced if each.request not in kept]

    def _fail(self, requests: Sequence[ChunkRequest]) -> None:
        error = InternalError("the batch failed; the worker's log says why")
        try:
            self._task.fail_all([request.chunk for request in requests if request.chunk], error)
        except RedisError as gone:
            self._give_back(requests, gone)
            return
        for request in requests:
            with _apart(request):
                request.on_failure(exception_info(error))


@contextmanager
def _apart(request: ChunkRequest) -> Iterator[None]:
    """Keep what goes wrong with the end of one request from the others of its batch."""
    with about(request.request_ids):
        try:
            yield
        except Exception:
            logger.exception("the end of the task %s could not be told", request.id)
            if not request.acknowledged:
                request.give_back()
