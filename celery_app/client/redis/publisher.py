"""Redis, as the api uses it: chunks go out as Celery tasks, replies come in on one list."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from celery import Celery
from redis import RedisError, ResponseError

from celery_app.client.entry import Entry
from celery_app.client.redis.message_template import MessageTemplate
from celery_app.client.redis.queue_capacity import QueueCapacity
from celery_app.client.redis.redis_connection import RedisConnection
from tasks.errors import BrokerUnavailable
from tasks.messages import REPLIES, Outcome
from tasks.rollout import queue_of
from tasks.storage.pending_results import PendingResults
from tasks.storage.result_cache import found, keys
from tasks.storage.wrong_type import is_wrong_type

logger = logging.getLogger(__name__)

#: Seconds a blocking pop waits before it is made again.
POP_S = 5


class Publisher:
    """Sends chunks to the broker, with a ``reply_to`` of this process."""

    def __init__(
        self,
        app: Celery,
        broker: RedisConnection,
        cache: RedisConnection,
        replies: RedisConnection,
        pending_results: PendingResults,
        room: QueueCapacity,
    ) -> None:
        """``replies`` leads to the broker, and its timeout is above ``POP_S``: it is waited on."""
        self._broker = broker
        self._cache = cache
        self._pending_results = pending_results
        self._room = room
        self._replies = replies
        self._reply_to = f"{REPLIES}{uuid4().hex}"
        self._message_template = MessageTemplate(app, self._reply_to)

    async def send(self, chunk: str, entries: Sequence[Entry]) -> None:
        """Send ``entries``, all of one version and kind, as the task with id ``chunk``.

        The answers of urgent ones are promised in the same step, where there is room for that.

        Raises:
            BrokerUnavailable: the broker did not take it.
            Overloaded: the queue has no room for it.
        """
        deadlines = [entry.deadline for entry in entries]
        options: dict[str, Any] = {"deadlines": deadlines} if any(deadlines) else {}
        first = entries[0]
        if first.exact:
            options["exact"] = True
        packed = self._message_template.pack(
            queue_of(first.version),
            chunk,
            [entry.text for entry in entries],
            {**options, "explain": first.explain, "version": first.version},
            first.rank,
            [entry.request_id for entry in entries],
        )
        self._room.take(chunk, len(packed.message))
        try:
            if urgent := [entry for entry in entries if entry.urgent]:
                made = await self._pending_results.make([e.id for e in urgent], *packed)
                for entry in urgent:
                    entry.promised = made
            else:
                await self._broker.call("LPUSH", packed.queue, packed.message)
        except RedisError as error:
            self._room.free(chunk)
            refused = isinstance(error, ResponseError)  # such as OOM or READONLY
            reason = str(error).partition(" ")[0] if refused else type(error).__name__
            raise BrokerUnavailable(f"the broker did not take the message: {reason}") from None

    async def look_up(self, ids: Sequence[str]) -> dict[str, Outcome]:
        """Return the outcomes that the cache has, by id. Raises ``RedisError``."""
        return found(ids, await self._cache.call("MGET", *keys(ids)))

    async def receive(self) -> bytes | None:
        """Return the next reply, None if there was none for a while. Raises ``RedisError``."""
        try:
            popped: Any = await self._replies.call("BRPOP", self._reply_to, POP_S)
        except ResponseError as error:
            if not is_wrong_type(error):
                raise
            logger.warning("the key of the replies held another type, and is deleted")
            await self._replies.call("DEL", self._reply_to)
            return None
        return popped[1] if popped else None
