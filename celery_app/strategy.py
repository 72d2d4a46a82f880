"""From chunks to batches: what arrives while the model computes is its next batch.

Celery receives as it always does: its default strategy checks expiry and revocation, sends the
events, keeps ETAs. Only the last step is ours: a request for :data:`~tasks.messages.TASK` goes to
the :class:`Batcher` instead of to the pool. The pool's one thread owns the model; as soon as it is
free it takes all that has gathered, up to the largest batch, and runs each request through Celery's
own tracer, so that results, callbacks, chords, signals and failures are Celery's too.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from billiard.einfo import ExceptionInfo
from celery.app.trace import trace_task
from celery.worker.request import Request
from redis import RedisError

from celery_app.task import AttributeTask, ChunkRequest
from tasks.errors import InternalError

logger = logging.getLogger(__name__)

#: Seconds before tasks whose results could not be stored are delivered again: at first, at most.
FIRST_RETRY_S = 0.2
LONGEST_RETRY_S = 5.0

Submit = Callable[..., Any]


class Batcher:
    """Gathers requests and has the model's thread work through them, a batch at a time."""

    def __init__(self, task: AttributeTask, submit: Submit, limit: int, wait_s: float) -> None:
        """``submit(target)`` runs ``target`` in the model's thread; ``limit`` is in messages."""
        self._task = task
        self._submit = submit
        self._limit = limit
        self._wait_s = wait_s
        self._waiting: deque[ChunkRequest] = deque()
        #: Monotonic time since when something waits, in seconds.
        self._since = 0.0
        self._changed = threading.Condition()
        self._running = False
        self._closed = False
        #: Seconds to wait before the next batch that can't be stored is given back.
        self._retry_s = FIRST_RETRY_S

    def add(self, request: ChunkRequest) -> None:
        """Take a request; wake the model's thread if it is idle. Called by Celery's main loop."""
        with self._changed:
            if not self._closed:
                if not self._waiting:
                    self._since = time.monotonic()
                self._waiting.append(request)
                self._changed.notify()
                self._wake()
                return
        request.give_back()

    def has_room(self) -> bool:
        """Return whether less than two batches wait.

        What waits here can't go to another worker, and is delivered to one all the same where it
        waits for longer than the visibility timeout.
        """
        return sum(request.messages for request in tuple(self._waiting)) < 2 * self._limit

    def close(self) -> None:
        """Give back what no batch has taken. The batch that is being computed goes on."""
        with self._changed:
            self._closed = True
            given_back, self._waiting = self._waiting, deque()
            self._changed.notify()
        for request in given_back:
            request.give_back()

    def _wake(self) -> None:
        if not self._running and self._waiting:
            self._running = True
            self._submit(self._run)

    def _run(self) -> None:
        try:
            if requests := self._take():  # none, where they were given back meanwhile
                self._execute(requests)
        except Exception:  # the last resort: whatever it was, the next batch must run
            logger.exception("a batch broke; its tasks are delivered again")
        finally:
            with self._changed:
                self._running = False
                self._wake()

    def _take(self) -> list[ChunkRequest]:
        """Return the requests of the next batch: at least one, and as many as fit.

        A task that is here twice, delivered again meanwhile, is not twice in one batch.
        """
        with self._changed:
            if self._wait_s:
                rest_s = self._since + self._wait_s - time.monotonic()
                self._changed.wait_for(self._full, max(0.0, rest_s))
            taken: dict[str, ChunkRequest] = {}
            room = self._limit
            while self._waiting and (not taken or self._waiting[0].messages <= room):
                if self._waiting[0].id in taken:
                    break
                request = self._waiting.popleft()
                taken[request.id] = request
                room -= request.messages
            self._since = time.monotonic()
            return list(taken.values())

    def _full(self) -> bool:
        return self._closed or sum(r.messages for r in self._waiting) >= self._limit

    def _execute(self, requests: Sequence[ChunkRequest]) -> None:
        started = time.monotonic()
        try:
            live = [request for request in requests if not request.revoked()]
            for request in live:
                request.on_accepted(os.getpid(), started)
            traced = self._attribute(live)
        except RedisError as error:
            self._give_back(requests, error)
        except Exception:
            logger.exception("%d tasks failed", len(requests))
            self._fail([request for request in requests if not request.acknowledged])
        else:
            self._retry_s = FIRST_RETRY_S
            seconds = time.monotonic() - started  # the tracer's own time leaves out the batch
            for request, (failed, result) in zip(live, traced, strict=True):
                # Celery's name: it tells failures apart, and acknowledges either.
                request.on_success((failed, result, seconds))

    def _give_back(self, requests: Sequence[ChunkRequest], error: RedisError) -> None:
        """Nothing could be stored: have it all delivered again, but not in a hot loop."""
        logger.warning(
            "%d tasks go back to the queue in %.1f s, nothing stored: %s",
            len(requests), self._retry_s, error,
        )  # fmt: skip
        with self._changed:
            self._changed.wait_for(lambda: self._closed, self._retry_s)
        self._retry_s = min(2 * self._retry_s, LONGEST_RETRY_S)
        for request in requests:
            request.give_back()

    def _attribute(self, requests: Sequence[ChunkRequest]) -> list[tuple[bool, Any]]:
        """Return what Celery's tracer made of each request, once all of it is stored."""
        with self._task.backend.round_trip() as pipe:
            self._task.attribute_all([r.chunk for r in requests if r.chunk], pipe)
            return [_trace(self._task, request) for request in requests]

    def _fail(self, requests: Sequence[ChunkRequest]) -> None:
        error = InternalError("the batch failed; the worker's log says why")
        with self._task.backend.round_trip() as pipe:
            self._task.fail_all([r.chunk for r in requests if r.chunk], pipe, error)
        for request in requests:
            request.on_failure(_exception_info(error))


def _exception_info(error: Exception) -> ExceptionInfo:
    """Celery takes an exception with its traceback, as one that was raised has."""
    try:
        raise error
    except type(error):
        return ExceptionInfo()


def _trace(task: AttributeTask, request: Request) -> tuple[bool, Any]:
    """Return whether the request failed, and its failure or a repr of its result."""
    args, kwargs, embed = request.args, request.kwargs, request.embed
    context = {**request.request_dict, **embed, "args": args, "kwargs": kwargs, "is_eager": False}
    result, failure, _, shown = trace_task(
        task, request.id, args, kwargs, context, hostname=request.hostname, app=task.app
    )
    return (True, result) if failure else (False, shown)
