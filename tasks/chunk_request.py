"""Subclasses of Celery's ``Request``, which stands for a task that has arrived at a worker.

The subclasses check a task when it arrives, and keep the task's arguments out of events, logs and
inspection.
"""

from __future__ import annotations

import logging
from typing import Any

from celery.worker.request import Request
from celery.worker.state import task_ready
from redis import RedisError

from tasks.chunk_arguments import carried_ids, parse_chunk
from tasks.errors import InvalidMessage
from tasks.malformed import Malformed, check_headers, check_payload
from tasks.messages import ORPHANED, SENT, Chunk
from tasks.results import count_in_words
from tasks.rollout import STEPS
from tasks.work import total

logger = logging.getLogger(__name__)


#: First year of an ETA that can be converted to every time zone.
EARLIEST_YEAR = 1971
#: Last year of an ETA that can be converted to every time zone.
LATEST_YEAR = 9998


class RedactedRequest(Request):
    """A Celery request that hides the task's arguments from events, logs and inspection.

    The arguments may hold texts of messages. A Celery client sends a repr of the arguments with the
    task, and Celery would show this repr.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._show("(not shown)")

    def _show(self, arguments: str) -> None:
        self._argsrepr, self._kwargsrepr = arguments, "{}"
        self.request_dict.update(argsrepr=self._argsrepr, kwargsrepr=self._kwargsrepr)

    def info(self, safe: bool = False) -> dict[str, Any]:
        """Returns the fields that Celery's ``inspect`` shows. The task's arguments are hidden."""
        return super().info(safe=True)


class ChunkRequest(RedactedRequest):
    """Celery's request for a task ``byline.attribute``. Parses the chunk when the task arrives."""

    def __init__(self, message: Any, *args: Any, **kwargs: Any) -> None:
        """Checks and parses the task. Raises ``Malformed`` if Celery could not use the task.

        Without the check, Celery would raise an error later, while it runs the task.
        """
        headers = kwargs.get("headers")
        check_headers(message.headers if headers is None else headers)
        super().__init__(message, *args, **kwargs)
        check_payload(*self._payload)
        if self.eta and not EARLIEST_YEAR <= self.eta.year <= LATEST_YEAR:
            raise Malformed("wrong header")
        #: The chunk; None if the arguments are wrong. The task then raises ``InvalidMessage``.
        self.chunk = self._parse()
        #: Work of the chunk's messages, see :mod:`tasks.work`.
        self.work = total(self.chunk.texts, self.chunk.explain) if self.chunk else 0
        priority = self.delivery_info.get("priority")
        #: Whether tasks of normal priority go before this task.
        self.low_priority = isinstance(priority, int) and priority >= STEPS[1]
        self._show(f"({count_in_words(self.messages)},)")

    def _parse(self) -> Chunk | None:
        try:
            sent_at = self.request_dict.get(SENT)
            arguments = self.args, self.kwargs
            return parse_chunk(self.id, self.reply_to, *arguments, sent_at, self.request_ids)
        except InvalidMessage:
            return None  # the task itself raises the error again, and ends as a FAILURE

    def revoked(self) -> bool:
        """Returns whether the task was revoked or has expired. If so, ends the task as REVOKED.

        If the cache is a separate server and can't be reached, ends the task without a result.
        """
        try:
            return bool(super().revoked())
        except RedisError as error:
            if not self.task.has_separate_cache:
                raise
            # Celery would take the cache's error for a lost connection to the broker.
            logger.warning("the end of a revoked task can't be stored: %s", error)
            self.acknowledge()
            return True

    @property
    def request_ids(self) -> list[Any]:
        """The ids of the messages' HTTP requests, as in the task's header. May be invalid."""
        return carried_ids(self.request_dict)

    @property
    def orphaned(self) -> bool:
        """Whether an earlier worker died, or seemed dead, while it held the task."""
        return bool(self.request_dict.get(ORPHANED))

    @property
    def wants_result(self) -> bool:
        """Whether the client wants Celery's own result instead of a reply."""
        return self.chunk is None or self.chunk.reply_to is None

    @property
    def messages(self) -> int:
        """The number of messages in the chunk."""
        return len(self.chunk.texts) if self.chunk else 0

    def give_back(self) -> None:
        """Puts the task back into its queue. This worker no longer counts the task as its own."""
        self.reject(requeue=True)
        task_ready(self)

    def cancel(self, pool: Any, signal: Any = None, emit_retry: bool = True) -> None:
        """Does nothing: a thread can't be killed. The unacknowledged task is delivered again."""

    def terminate(self, pool: Any, signal: Any = None) -> None:
        """Does nothing: a thread can't be killed. Tasks can be revoked until their batch begins."""

    @property
    def embed(self) -> dict[str, Any]:
        """The task's callbacks, errbacks, chain and chord, as the client sent them."""
        return self._payload[2] or {}
