"""The memory that the embedded Valkey may fill: less while the machine's is short.

Cache and queue share it. The cache gives way, the queue and what is promised can't: nothing of them
has a time to live. So it is never given less than the queue needs to be worked off.
"""

from __future__ import annotations

import logging

from redis import Redis

from monitoring.state.pressure import Level
from tasks.rollout import WorkerRegistry
from tasks.storage import queue_memory

logger = logging.getLogger(__name__)

#: Share of its memory that is left to it while memory is short.
SHRUNK = 0.5
#: Bytes for replies, results and what else the queue does not hold.
SPARE = 16 * 2**20


class CacheLimit:
    """Sets it."""

    def __init__(self, server: Redis, size: int) -> None:
        """``size`` is what it has as a rule, in bytes."""
        self._server = server
        self._size = size
        #: What was set last; None: whatever an earlier monitor left.
        self._set: int | None = None

    def adapt(self, level: Level) -> None:
        """Set what it may have at this level. Raises ``RedisError``."""
        if level == "ok" and self._set == self._size:
            return
        wanted = self._size if level == "ok" else self._least()
        self._server.config_set("maxmemory", wanted)
        if wanted != self._set and not (self._set is None and level == "ok"):
            logger.warning("memory is %s: the cache may have %d MB", level, wanted // 2**20)
        self._set = wanted

    def _least(self) -> int:
        used = queue_memory.look(self._server, WorkerRegistry(self._server).look().lists).used
        # A task that is taken is for a moment there twice.
        return min(self._size, max(int(self._size * SHRUNK), 2 * used + SPARE))
