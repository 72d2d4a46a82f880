"""Makes the Celery message of a chunk, with Kombu's memory transport.

Byline then writes the message to Redis. In the same step, Byline adds the chunk's pending results:
records of outcomes that callers will fetch later. Celery would need two steps, and a crash between
the steps would lose the message or the results.
"""

from __future__ import annotations

import time
from bisect import bisect
from collections.abc import Mapping, Sequence
from queue import Empty
from threading import Lock
from typing import Any, NamedTuple

import msgspec
from celery import Celery
from kombu import Connection
from kombu.serialization import register

from tasks.messages import REQUEST_IDS, SENT, TASK
from tasks.rollout import STEPS, lists

#: All connections of a process share Kombu's memory transport. So one thread at a time sends a task
#: and takes its message out.
_MEMORY = Lock()
#: Headers of a chunk that is in no trace.
NO_TRACE: Mapping[str, Any] = {}
_encode = msgspec.json.Encoder().encode
#: Kombu's name for JSON that msgspec encodes, in a fraction of the time of kombu's own encoder.
_JSON = "byline-json"
# Without a decoder: kombu's own decoder of this content type stays.
register(_JSON, _encode, None, "application/json")


class Packed(NamedTuple):
    """A Celery message, and the Redis list to push it to.

    A queue has one list for each step of priority: 0, 3, 6 and 9.
    """

    queue: str
    message: bytes


class TaskPacker:
    """Makes the Celery messages that carry chunks to the workers."""

    def __init__(self, app: Celery, reply_to: str) -> None:
        """``reply_to`` is the name of the Redis list on which this process awaits the replies."""
        self._app = app
        self._reply_to = reply_to
        self._connection = Connection("memory://")
        self._producer = app.amqp.Producer(self._connection)

    def pack(
        self,
        queue: str,
        chunk: str,
        texts: Sequence[str],
        kwargs: dict[str, Any],
        priority: int,
        request_ids: Sequence[str] = (),
        trace: Mapping[str, Any] = NO_TRACE,
    ) -> Packed:
        """Returns the Celery message for a chunk of ``texts``. The task's id is ``chunk``.

        ``request_ids`` has an id for each text, or is empty. ``trace`` holds headers that name
        tracing spans, to which the worker connects its own spans.
        """
        headers: dict[str, Any] = {SENT: round(time.time(), 6), **trace}
        if any(request_ids):
            headers[REQUEST_IDS] = request_ids
        with _MEMORY:
            try:
                self._app.send_task(
                    TASK,
                    args=[texts],
                    kwargs=kwargs,
                    task_id=chunk,
                    queue=queue,
                    priority=priority,
                    reply_to=self._reply_to,
                    headers=headers,
                    ignore_result=True,  # the reply has the results, and the cache keeps them
                    serializer=_JSON,
                    # Celery's own repr has the texts, and monitors such as Flower show the repr.
                    argsrepr=f"({len(texts)} messages,)",
                    kwargsrepr="{}",
                    retry=False,
                    declare=(),  # declaring takes a fifth of the time, and is not needed
                    producer=self._producer,
                )
            finally:  # else a message that an error left in memory would be the next chunk's
                message = self._take(queue)
        return Packed(_list(queue, priority), _encode(message))

    def _take(self, queue: str) -> dict[str, Any]:
        """Removes a message from kombu's memory, and returns it as kombu would write it to Redis.

        Returns an empty message if there is none, because Celery raised an error.
        """
        memory_channel = self._connection.default_channel
        try:
            message: dict[str, Any] = memory_channel._get(queue)
        except Empty:
            return {}
        return message


def _list(queue: str, priority: int) -> str:
    """Returns the Redis list for a queue and a priority. Neighbouring priorities share a list."""
    return lists(queue)[bisect(STEPS, priority) - 1]
