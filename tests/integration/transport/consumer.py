"""A consumer of tasks, like the consumer of a Celery worker, but without Celery."""

from __future__ import annotations

import json
import time
from typing import Any

from kombu import Connection, Consumer, Queue
from kombu.message import Message
from redis import Redis

OURS, KOMBUS = "celery_app.transport:Transport", "redis"
QUEUE = Queue("tasks")


class Worker:
    """Consumes tasks through kombu, as a Celery worker does."""

    def __init__(self, url: str, transport: str, prefetch: int = 100, **options: Any) -> None:
        """``options`` are further options of kombu's transport."""
        options = {"visibility_timeout": 1, "queue_order_strategy": "priority", **options}
        self.connection = Connection(url, transport=transport, transport_options=options)
        self.channel = self.connection.default_channel
        self.taken: list[Message] = []
        self.consumer = Consumer(self.channel, [QUEUE], on_message=self.taken.append)
        self.consumer.qos(prefetch_count=prefetch)
        self.consumer.consume()

    def take(self, number: int) -> list[str]:
        """Waits until ``number`` tasks were taken in all. Returns the bodies of all taken tasks."""
        until = time.monotonic() + 10
        while len(self.taken) < number:
            assert time.monotonic() < until, self.taken
            try:
                self.connection.drain_events(timeout=0.5)
            except TimeoutError:
                continue
        return [message.payload for message in self.taken]


def noted(redis: Redis) -> list[tuple[dict, str, str]]:
    return [tuple(json.loads(entry)) for entry in redis.hvals("unacked")]
