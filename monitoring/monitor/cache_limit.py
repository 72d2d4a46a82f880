"""Lowers the embedded Valkey's memory limit while the machine's memory is short.

Valkey then evicts cache entries. It never evicts tasks, or answers that the api has promised with
status 202. The lowered limit leaves Valkey enough memory for workers to empty the queue.
"""

from __future__ import annotations

import logging

from redis import Redis

from monitoring.state.machine_memory import Level
from tasks.rollout import WorkerRegistry
from tasks.storage import queue_memory

logger = logging.getLogger(__name__)

#: Valkey's memory limit while memory is short, as a share of the usual limit.
SHRUNK_SHARE = 0.5
#: Bytes of memory for replies, results and other data that are not in the queue.
SPARE = 16 * 2**20


class CacheLimit:
    """Lowers Valkey's ``maxmemory`` while the machine's memory is short, and restores it later."""

    def __init__(self, server: Redis, size: int) -> None:
        """``size`` is Valkey's memory limit in bytes while the machine has enough memory."""
        self._server = server
        self._size = size
        #: The limit that this object set last, in bytes; None before the first call of
        #: :meth:`adapt`. An earlier monitor may have set a limit that is not known here.
        self._set: int | None = None

    def adapt(self, level: Level) -> None:
        """Sets Valkey's memory limit: the full limit if ``level`` is "ok", else a lower limit.

        Raises ``RedisError``.
        """
        if level == "ok" and self._set == self._size:
            return
        wanted = self._size if level == "ok" else self._shrunk()
        self._server.config_set("maxmemory", wanted)
        if wanted != self._set and not (self._set is None and level == "ok"):
            logger.warning("memory is %s: the cache's limit is now %d MB", level, wanted // 2**20)
        self._set = wanted

    def _shrunk(self) -> int:
        used = queue_memory.look(self._server, WorkerRegistry(self._server).look().lists).used
        # While a worker takes a task, Valkey holds the task twice for a moment.
        return min(self._size, max(int(self._size * SHRUNK_SHARE), 2 * used + SPARE))
