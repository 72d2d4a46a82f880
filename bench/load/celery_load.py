"""A load without HTTP: sends Celery tasks by name and gets results, as any Celery client does."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator, Sequence

import msgspec
from celery import Celery
from celery.exceptions import TimeoutError as ResultTimeout

from bench.load.load import TIMEOUT_S
from bench.load.messages import Message
from bench.load.recorder import Answer, Recorder
from bench.load.schedule import Pacer

TASK = "byline.attribute"
QUEUE = "attributions"


class CeleryLoad:
    """Sends tasks from ``connections`` threads, with ``bulk`` messages in a task.

    Each thread has a Celery client of its own, and waits for a task's result before it sends the
    next task. If ``pacer`` is None, the thread sends the next task at once (closed loop).
    """

    def __init__(
        self,
        redis: str,
        messages: Iterator[Message],
        recorder: Recorder,
        *,
        connections: int,
        bulk: int,
        pacer: Pacer | None,
    ) -> None:
        self._redis = redis
        self._messages = messages
        self._recorder = recorder
        self._connections = connections
        self._bulk = bulk
        self._pacer = pacer
        self._numbers = itertools.count()
        self._drawing = threading.Lock()
        self._noting = threading.Lock()
        self._stopped = threading.Event()

    def run(self, warmup_s: float, seconds: float, max_messages: int) -> tuple[float, float]:
        """Runs the load. Measures for ``seconds`` seconds after ``warmup_s`` seconds of warm-up.

        The load ends early once ``max_messages`` messages are sent, including those of the warm-up.

        Returns:
            The monotonic time at which the measurement began, and the seconds that were measured.
        """
        begin = time.monotonic()
        measured_from = begin + warmup_s
        end = measured_from + seconds
        max_tasks = max_messages // self._bulk
        threads = [
            threading.Thread(target=self._work, args=(begin, measured_from, end, max_tasks))
            for _ in range(self._connections)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return measured_from, max(0.0, min(time.monotonic(), end) - measured_from)

    def stop(self) -> None:
        """Stops sending. The answers to tasks that are under way are still recorded."""
        self._stopped.set()

    def _work(self, begin: float, measured_from: float, end: float, max_tasks: int) -> None:
        client = Celery("load", broker=self._redis, backend=self._redis, set_as_current=False)
        client.conf.task_ignore_result = False
        while True:
            with self._drawing:
                number = next(self._numbers)
                messages = list(itertools.islice(self._messages, self._bulk))
            due = time.monotonic() if self._pacer is None else begin + self._pacer.due_at(number)
            if due >= end or number >= max_tasks or self._wait_until(due):
                return
            left = time.monotonic()
            found = self._attribute(client, messages)
            now = time.monotonic()
            with self._noting:
                if due >= measured_from:
                    late = left - due
                    self._recorder.note(messages, due - measured_from, late, now - due, found)
                elif now >= measured_from and isinstance(found, list):
                    self._recorder.carried += len(messages)

    def _wait_until(self, due: float) -> bool:
        """Waits until the monotonic time ``due``, or until the load is stopped.

        Returns whether the load is stopped.
        """
        return self._stopped.wait(max(0.0, due - time.monotonic()))

    def _attribute(self, client: Celery, messages: Sequence[Message]) -> list[Answer] | str:
        texts = [message.text for message in messages]
        try:
            task = client.send_task(TASK, [texts], queue=QUEUE)
            found = task.get(timeout=TIMEOUT_S)
        except ResultTimeout:
            return "no answer"
        except Exception as error:  # the result raises the task's exception, of any class
            return type(error).__name__
        return msgspec.convert(found, list[Answer])
