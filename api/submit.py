"""Celery, as the api uses it: chunks go out by task name, replies come in on one list."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

from celery import Celery
from kombu.exceptions import OperationalError
from redis import RedisError
from redis.asyncio import Redis

from api.outbox import Entry
from tasks.cache import found, keys
from tasks.errors import Unavailable
from tasks.messages import QUEUE, REPLIES, TASK, Attribution

#: Seconds a blocking pop waits before it is made again.
POP_S = 5


class Submitter:
    """Sends chunks to the broker, with a ``reply_to`` of this process."""

    def __init__(self, app: Celery, cache: Redis, replies: Redis, senders: int) -> None:
        """``replies`` is a client of the cache whose socket timeout is above ``POP_S``.

        ``senders`` is how many chunks can be given to the broker at once.
        """
        self._app = app
        self._cache = cache
        self._replies = replies
        # Celery's publisher blocks, and the loop must not.
        self._senders = ThreadPoolExecutor(senders, "sender")
        self._reply_to = f"{REPLIES}{uuid4().hex}"

    async def send(self, chunk: str, entries: Sequence[Entry]) -> None:
        """Send ``entries``, all of one kind, as the task with id ``chunk``.

        Raises:
            Unavailable: the broker did not take it.
        """
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._senders, self._publish, chunk, entries)

    async def look_up(self, ids: Sequence[str]) -> dict[str, Attribution]:
        """Return the attributions that the cache has, by id. Raises ``RedisError``."""
        return found(await self._cache.mget(keys(ids)))

    def _publish(self, chunk: str, entries: Sequence[Entry]) -> None:
        deadlines = [entry.deadline for entry in entries]
        options = {"deadlines": deadlines} if any(deadlines) else {}
        try:
            self._app.send_task(
                TASK,
                args=[[entry.text for entry in entries]],
                kwargs={**options, "explain": entries[0].explain, "version": entries[0].version},
                task_id=chunk,
                queue=QUEUE,
                priority=entries[0].priority,
                reply_to=self._reply_to,
                ignore_result=True,  # the reply is the result, and every attribution is cached
                argsrepr=f"({len(entries)} messages,)",  # a repr of the texts would be shown about
                kwargsrepr="{}",
                retry=False,  # the caller is waiting: it is told, and may come again
            )
        except (OperationalError, RedisError, OSError) as error:
            reason = type(error).__name__
            raise Unavailable(f"the broker did not take the message: {reason}") from None

    async def receive(self) -> bytes | None:
        """Return the next reply, None if there was none for a while. Raises ``RedisError``."""
        popped: Any = await self._replies.brpop([self._reply_to], timeout=POP_S)
        return popped[1] if popped else None
