"""Gathers the tasks that arrive while the model computes, and makes them the next batch.

Celery receives tasks as usual, but gives a request for :data:`~tasks.messages.TASK` to the
:class:`Batcher` and not to the pool. The pool's one thread owns the model. When this thread is
free, it takes as many waiting tasks as fit into one batch.

A batch has a limit of work (:mod:`tasks.work`), which grows with the number and length of its
messages. This limits the time that a batch takes. A task with too much work for one batch is
computed in several batches, called passes. Batches of other tasks run between the passes. The
outcomes of each pass are cached at once. The task is acknowledged after its last pass.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any, Protocol

from celery_app.worker.batch_runner import BatchRunner
from celery_app.worker.waiting_tasks import LargeTask, NextBatch, WaitingTasks
from monitoring.instruments.request_ids import about
from tasks.attribute import AttributeTask
from tasks.chunk_request import ChunkRequest

logger = logging.getLogger(__name__)

#: A worker with this much waiting work of large tasks leaves further tasks to other workers.
MAX_LARGE_WORK = 100_000
#: Shortest time between two releases of device memory, in seconds. Later batches need the memory
#: again.
FREE_S = 5.0
#: Number of overlapping batches after which the pool's thread may run other jobs of the pool.
MAX_BATCHES_IN_A_ROW = 100


class Executor(Protocol):
    """The part of the worker's pool that the batcher uses. The pool has one thread."""

    def submit(self, target: Callable[[], None], /) -> Any:
        """Runs ``target`` in the thread that owns the model."""


class Device(Protocol):
    """What the batcher needs to know of the model's device: one property."""

    @property
    def overlaps(self) -> bool:
        """Whether the device can compute while the model's thread does other work.

        An NVIDIA GPU can do this. Only the model's thread may read this property.
        """


class Batcher:
    """Gathers requests, and makes the model's thread compute them batch by batch."""

    def __init__(
        self,
        task: AttributeTask,
        executor: Executor,
        device: Device,
        max_work: int,
        wait_s: float,
        max_wait_s: float,
    ) -> None:
        """``max_work`` limits the work of a batch, in units of one short message.

        A batch that is not full waits at most ``wait_s`` seconds for further tasks. The batcher
        takes more tasks only while it expects to finish all waiting tasks within ``max_wait_s``
        seconds.
        """
        self._task = task
        self._executor = executor
        self._device = device
        self._max_work = max_work
        self._wait_s = wait_s
        self._max_wait_s = max_wait_s
        self._waiting = WaitingTasks(max_work)
        #: Monotonic time at which the first waiting task came, in seconds.
        self._waiting_since = 0.0
        #: Whether memory is short, so that device memory is freed between batches.
        self._memory_is_short = False
        self._freed_at = -FREE_S
        self._changed = threading.Condition()
        self._running = False
        self._closed = threading.Event()
        self.runner = BatchRunner(task, max_work, self, self._closed)

    def add(self, request: ChunkRequest) -> None:
        """Takes a request, and wakes the model's thread if it is idle; called by Celery's loop."""
        with self._changed:
            if not self._closed.is_set():
                if not self._waiting:
                    self._waiting_since = time.monotonic()
                self._waiting.add(request)
                self._changed.notify()
                self._start_if_needed()
                return
        request.give_back()

    def has_room(self) -> bool:
        """Returns whether to take more tasks from the broker.

        True if all of these hold:

        - The waiting tasks should be finished within ``max_wait_s`` seconds.
        - The waiting tasks, except low-priority tasks, fill fewer than two batches. Here all large
          tasks (with too much work for one batch) together count as one batch at most.
        - The large tasks have less than :data:`MAX_LARGE_WORK` units of work.
        """
        if not self._waiting:  # the usual case: Celery's loop asks several times for each task
            return True
        large = self._waiting.large_work
        # One batch at most, because a later task waits for only one batch of the large tasks.
        # Low-priority tasks count only for the time.
        urgent = self._waiting.urgent_work + self._waiting.solo_work + min(large, self._max_work)
        # This estimate uses the speed of the last finished batch of small tasks.
        all_s = (urgent + self._waiting.low_priority_work) * self.runner.seconds_per_work
        # The limits are low because other workers, even idle workers, can't take the tasks that
        # wait here.
        return all_s < self._max_wait_s and urgent < 2 * self._max_work and large < MAX_LARGE_WORK

    def wants_urgent_only(self) -> bool:
        """Returns whether this worker takes only urgent tasks now.

        True if the low-priority tasks that wait in this worker fill two batches or more.
        """
        return self._waiting.low_priority_work >= 2 * self._max_work

    def set_memory_is_short(self, is_short: bool) -> None:
        """Sets whether memory is short.

        While memory is short, a busy worker frees device memory between batches. An idle worker
        frees device memory at once.
        """
        with self._changed:
            self._memory_is_short = is_short
            if self._is_freeing_due() and not self._running and not self._closed.is_set():
                self._start()

    @property
    def waiting(self) -> int:
        """The number of messages that wait for the model."""
        return self._waiting.messages

    @property
    def silent_s(self) -> float:
        """Seconds since the model's thread last showed that it is alive; 0 if it has no batch."""
        return self.runner.silent_s

    @property
    def request_ids(self) -> Sequence[Any]:
        """The HTTP request ids of the messages in the batch that was handled last."""
        return self.runner.request_ids

    def close(self) -> None:
        """Gives all waiting tasks back to the broker. The batch that is being computed goes on."""
        with self._changed:
            self._closed.set()
            given_back = self._waiting.clear()
            self._changed.notify()
        for request in given_back:
            request.give_back()
        self.runner.close()

    def add_rest(self, large: LargeTask) -> None:
        """Takes back a large task that needs further batches; called by the model's thread."""
        with self._changed:
            if not self._closed.is_set():
                self._waiting.add_rest(large)
                return
        large.request.give_back()

    def _start_if_needed(self) -> None:
        if not self._running and self._waiting:
            self._start()

    def _start(self) -> None:
        self._executor.submit(self._run)
        self._running = True

    def _run(self) -> None:
        try:
            self._run_batches()
            self._free_memory()
        except Exception:  # after any error, the next batch must run
            with about(self.request_ids):
                logger.exception("a batch failed unexpectedly; its tasks are delivered again")
        finally:
            with self._changed:
                self.runner.note_idle()
                self._running = False
                self._start_if_needed()

    def _free_memory(self) -> None:
        """Frees the device memory that is kept for later batches, if memory is short.

        Does nothing if this memory was freed in the last :data:`FREE_S` seconds.
        """
        if self._is_freeing_due():
            self._freed_at = time.monotonic()
            self._task.free_memory()

    def _is_freeing_due(self) -> bool:
        return self._memory_is_short and time.monotonic() > self._freed_at + FREE_S

    def _run_batches(self) -> None:
        """Runs one batch. On a device that overlaps (an NVIDIA GPU), also runs the next batches.

        On such a device, the next batch begins before the previous batch is finished. If one of
        these two batches fails, the other batch is still finished.
        """
        computing = self.runner.begin(self._take(self._wait_s))
        # While an NVIDIA GPU computes, this thread reads the cache and tokenises for the next
        # batch, or stores the results and sends the replies of the previous batch.
        for _ in range(MAX_BATCHES_IN_A_ROW):
            if not (computing and self._device.overlaps and self._waiting):
                break
            with ExitStack() as stack:
                stack.callback(self.runner.finish, computing)
                computing = None
                computing = self.runner.begin(self._take(0.0))
        if computing:
            self.runner.finish(computing)

    def _take(self, wait_s: float) -> NextBatch:
        """Removes the next batch from the waiting tasks, and returns it.

        If the batch is not full, first waits at most ``wait_s`` seconds for further tasks. The
        batch is empty if no task waits.
        """
        with self._changed:
            if wait_s:
                left_s = self._waiting_since + wait_s - time.monotonic()
                self._changed.wait_for(self._is_full, max(0.0, left_s))
            taken = self._waiting.take()
            self._waiting_since = time.monotonic()
            if taken.large is not None and taken.large.request.orphaned:
                self._task.count_batch("alone")
            elif taken.requests:
                self._task.count_batch("full" if taken.large or self._waiting else "drained")
            return taken

    def _is_full(self) -> bool:
        return self._closed.is_set() or self._waiting.is_full
