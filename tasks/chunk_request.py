"""The Celery request that carries a chunk. It is checked on arrival and shows no arguments."""

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
from tasks.results import count
from tasks.rollout import STEPS
from tasks.work import total

logger = logging.getLogger(__name__)


#: Years of an ETA that is a time in every time zone.
EARLIEST, LATEST = 1971, 9998


class RedactedRequest(Request):
    """A request that shows nobody its arguments: they may hold texts.

    The client's own repr of them does, too, and events and logs would repeat it.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._show("(not shown)")

    def _show(self, arguments: str) -> None:
        self._argsrepr, self._kwargsrepr = arguments, "{}"
        self.request_dict.update(argsrepr=self._argsrepr, kwargsrepr=self._kwargsrepr)

    def info(self, safe: bool = False) -> dict[str, Any]:
        """Return what ``inspect`` shows: never the arguments, whatever ``safe`` says."""
        return super().info(safe=True)


class ChunkRequest(RedactedRequest):
    """A request for the task, checked when it arrives."""

    def __init__(self, message: Any, *args: Any, **kwargs: Any) -> None:
        """Raises ``Malformed`` where Celery could not use the task, and would raise later."""
        headers = kwargs.get("headers")
        check_headers(message.headers if headers is None else headers)
        super().__init__(message, *args, **kwargs)
        check_payload(*self._payload)
        if self.eta and not EARLIEST <= self.eta.year <= LATEST:
            raise Malformed("wrong header")
        self.chunk = self._parse()
        #: How much work its messages are, see :mod:`tasks.work`.
        self.work = total(self.chunk.texts, self.chunk.explain) if self.chunk else 0
        priority = self.delivery_info.get("priority")
        #: Do others go before it?
        self.behind = isinstance(priority, int) and priority >= STEPS[1]
        self._show(f"({count(self.messages)},)")

    def _parse(self) -> Chunk | None:
        try:
            sent_at = self.request_dict.get(SENT)
            arguments = self.args, self.kwargs
            return parse_chunk(self.id, self.reply_to, *arguments, sent_at, self.request_ids)
        except InvalidMessage:
            return None  # the task itself raises it again, so that it ends as a FAILURE

    def revoked(self) -> bool:
        """Whether the task was revoked or has expired; then Celery has stored that.

        Where it can't, for the cache is gone, the task is over all the same: the broker, which
        delivers tasks, must not count as gone with it.
        """
        try:
            return bool(super().revoked())
        except RedisError as error:
            if not self.task.answers_apart:
                raise
            logger.warning("that a task was revoked can't be stored: %s", error)
            self.acknowledge()
            return True

    @property
    def request_ids(self) -> list[Any]:
        """The ids of the requests that its messages came with, as the header has them."""
        return carried_ids(self.request_dict)

    @property
    def orphaned(self) -> bool:
        """Whether a worker died, or was taken for dead, while it held the task."""
        return bool(self.request_dict.get(ORPHANED))

    @property
    def wants_result(self) -> bool:
        """Whether Celery's result is wanted, and not a reply."""
        return self.chunk is None or self.chunk.reply_to is None

    @property
    def messages(self) -> int:
        """How many messages the chunk holds."""
        return len(self.chunk.texts) if self.chunk else 0

    def give_back(self) -> None:
        """Have the broker deliver the task again, and forget it here."""
        self.reject(requeue=True)
        task_ready(self)

    def cancel(self, pool: Any, signal: Any = None, emit_retry: bool = True) -> None:
        """Do nothing: a thread can't be killed. Unacknowledged, the task is delivered again."""

    def terminate(self, pool: Any, signal: Any = None) -> None:
        """Do nothing, as above. ``revoke`` without ``terminate`` works until a batch has it."""

    @property
    def embed(self) -> dict[str, Any]:
        """Callbacks, errbacks, chain and chord, as the client sent them."""
        return self._payload[2] or {}
