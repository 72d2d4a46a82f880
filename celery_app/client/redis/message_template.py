"""The Celery message that carries a chunk, after the pattern of one that Celery made.

Celery's own way from ``send_task`` to Redis takes about 400 us of CPU a message, most of it for
what is the same each time. So Celery sends one message for each queue into memory; what differs
between that one and the next is filled in here. A test compares the two ways, field by field.
"""

from __future__ import annotations

import time
from base64 import b64decode, b64encode
from bisect import bisect
from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any, NamedTuple
from uuid import uuid4

import msgspec
from celery import Celery
from kombu import Connection

from tasks.messages import QUEUE, REQUEST_IDS, SENT, TASK
from tasks.rollout import STEPS, lists

#: Queues whose pattern is kept: one for each version that is served.
PATTERNS = 8

_encode = msgspec.json.Encoder().encode


class Packed(NamedTuple):
    """A message, and the Redis list it goes to: each priority has one."""

    queue: str
    message: bytes


class MessageTemplate:
    """Packs chunks for the workers."""

    def __init__(self, app: Celery, reply_to: str) -> None:
        self._make = lru_cache(PATTERNS)(partial(_pattern, app, reply_to))
        _, _, self._embed = msgspec.json.decode(b64decode(self._make(QUEUE)["body"]))

    def pack(
        self,
        queue: str,
        chunk: str,
        texts: Sequence[str],
        kwargs: dict[str, Any],
        priority: int,
        request_ids: Sequence[str] = (),
    ) -> Packed:
        """Returns the message of the task with id ``chunk``.

        ``request_ids`` has one for each text, or none at all.
        """
        pattern = self._make(queue)
        body = _encode([[texts], kwargs, self._embed])
        shown = f"({len(texts)} messages,)"  # a repr of the texts would be shown about
        headers: dict[str, Any] = {
            "id": chunk,
            "root_id": chunk,
            "argsrepr": shown,
            SENT: round(time.time(), 6),
        }
        if any(request_ids):
            headers[REQUEST_IDS] = request_ids
        properties = {
            "correlation_id": chunk,
            "argsrepr": shown,
            "priority": priority,
            "delivery_tag": str(uuid4()),
        }
        message = {
            **pattern,
            "body": b64encode(body).decode(),
            "headers": pattern["headers"] | headers,
            "properties": pattern["properties"] | properties,
        }
        return Packed(_list(queue, priority), _encode(message))


def _pattern(app: Celery, reply_to: str, queue: str) -> dict[str, Any]:
    """Have Celery send a task through memory; return what would have gone to Redis."""
    with Connection("memory://") as connection:
        app.send_task(
            TASK,
            args=[[]],
            kwargs={},
            queue=queue,
            reply_to=reply_to,
            ignore_result=True,  # the reply is the result, and every attribution is cached
            argsrepr="",
            kwargsrepr="{}",
            retry=False,
            connection=connection,
        )
        sent = connection.default_channel.basic_get(queue, no_ack=True)
        message: dict[str, Any] = sent.serializable()
        return message


def _list(queue: str, priority: int) -> str:
    """Return the list of a priority: the priorities between two steps share one."""
    return lists(queue)[bisect(STEPS, priority) - 1]
