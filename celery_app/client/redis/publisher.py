"""Sends chunks to the broker as Celery tasks, and receives the replies on one Redis list."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

from celery import Celery
from redis import RedisError, ResponseError
from redis.asyncio import Redis

from celery_app.client import spans
from celery_app.client.entry import Entry
from celery_app.client.redis.queue_capacity import QueueCapacity
from celery_app.client.redis.task_packer import NO_TRACE, Packed, TaskPacker
from monitoring.instruments import tracing
from tasks.errors import BrokerUnavailable
from tasks.messages import REPLIES
from tasks.rollout import queue_of
from tasks.storage.pending_results import PendingResults
from tasks.storage.wrong_type import is_wrong_type

logger = logging.getLogger(__name__)

#: Seconds that one BRPOP waits for a reply.
POP_S = 5


class Publisher:
    """Sends chunks as Celery tasks, and receives the replies on a Redis list of this process."""

    def __init__(
        self,
        app: Celery,
        broker: Redis,
        replies: Redis,
        pending_results: PendingResults,
        queue_capacity: QueueCapacity,
    ) -> None:
        """``replies`` is a second Redis client of the broker. It only receives the replies.

        The socket timeout of ``replies`` must be longer than ``POP_S`` seconds.
        """
        self._broker = broker
        self._replies = replies
        self._pending_results = pending_results
        self._queue_capacity = queue_capacity
        self._reply_to = f"{REPLIES}{uuid4().hex}"
        self._task_packer = TaskPacker(app, self._reply_to)

    async def send(self, chunk_id: str, entries: Sequence[Entry]) -> None:
        """Sends a chunk as a Celery task, whose id is ``chunk_id``.

        All ``entries`` must have the same model version, priority and options. The Redis command
        that queues the task also promises the outcomes of urgent entries, whose callers stop
        waiting. The broker then keeps these outcomes. If it has no room for all, it promises none.

        Raises:
            BrokerUnavailable: the broker did not take the task.
            Overloaded: the queue has no capacity for the task.
        """
        if tracing.tracer is None:
            await self._send(chunk_id, entries, NO_TRACE)
            return
        with spans.enqueueing(tracing.tracer, chunk_id, entries) as headers:
            await self._send(chunk_id, entries, headers)

    async def _send(
        self, chunk_id: str, entries: Sequence[Entry], headers: Mapping[str, Any]
    ) -> None:
        packed = self._pack(chunk_id, entries, headers)
        self._queue_capacity.take(chunk_id, len(packed.message))
        try:
            if urgent := [entry for entry in entries if entry.urgent]:
                promised = await self._pending_results.make([e.id for e in urgent], *packed)
                for entry in urgent:
                    entry.promised = promised
            else:
                await self._broker.execute_command("LPUSH", packed.queue, packed.message)
        except RedisError as error:
            self._queue_capacity.free(chunk_id)
            refused = type(error) is ResponseError  # redis-py has no class for this error
            reason = str(error).partition(" ")[0] if refused else type(error).__name__
            raise BrokerUnavailable(f"the broker did not take the message: {reason}") from None

    def _pack(self, chunk_id: str, entries: Sequence[Entry], headers: Mapping[str, Any]) -> Packed:
        deadlines = [entry.deadline for entry in entries]
        options: dict[str, Any] = {"deadlines": deadlines} if any(deadlines) else {}
        first = entries[0]
        if first.exact:
            options["exact"] = True
        return self._task_packer.pack(
            queue_of(first.version),
            chunk_id,
            [entry.text for entry in entries],
            {**options, "explain": first.explain, "version": first.version},
            first.queue_priority,
            [entry.request_id for entry in entries],
            headers,
        )

    async def receive(self) -> bytes | None:
        """Returns the next reply; None if no reply came within ``POP_S`` seconds.

        Raises ``RedisError``.
        """
        try:
            popped: Any = await self._replies.execute_command("BRPOP", self._reply_to, POP_S)
        except ResponseError as error:
            if not is_wrong_type(error):
                raise
            logger.warning("the key of the replies held another type, and is deleted")
            await self._replies.execute_command("DEL", self._reply_to)
            return None
        return popped[1] if popped else None
