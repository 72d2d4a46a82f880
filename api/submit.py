"""Celery, as the api uses it: chunks go out by task name, replies come in on one list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from celery import Celery
from kombu.exceptions import OperationalError
from redis import Redis, RedisError

from api.outbox import Entry
from tasks.errors import Unavailable
from tasks.messages import QUEUE, REPLIES, TASK

#: Seconds a blocking pop waits before it is made again.
POP_S = 5


class Submitter:
    """Sends chunks to the broker, with a ``reply_to`` of this process."""

    def __init__(self, app: Celery, replies: Redis) -> None:
        """``replies`` is a client of the cache whose socket timeout is above ``POP_S``."""
        self._app = app
        self._replies = replies
        self._reply_to = f"{REPLIES}{uuid4().hex}"

    def send(self, chunk: str, entries: Sequence[Entry]) -> None:
        """Send ``entries``, all of one kind, as the task with id ``chunk``.

        Raises:
            Unavailable: the broker did not take it.
        """
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

    def receive(self) -> bytes | None:
        """Return the next reply, None if there was none for a while. Raises ``RedisError``."""
        popped: Any = self._replies.brpop([self._reply_to], timeout=POP_S)
        return popped[1] if popped else None
