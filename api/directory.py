"""Which model is served, and by how many workers: what the workers have announced."""

from __future__ import annotations

import logging
import time
from threading import Lock

import msgspec
from redis import Redis, RedisError

from tasks.errors import NoModel
from tasks.messages import ALIVE_S, MODEL, WORKERS, Announcement

logger = logging.getLogger(__name__)

#: Seconds for which an announcement is believed before it is read again.
FRESH_S = 1.0

_decode = msgspec.json.Decoder(Announcement).decode


class Directory:
    """Reads the announcements, at most once a second. Keeps the last one while Redis is gone."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._known: Announcement | None = None
        self._read_at = float("-inf")
        self._reading = Lock()

    def current(self) -> Announcement:
        """Return the announcement of the model being served.

        Raises:
            NoModel: no worker has announced one here.
        """
        # Of many requests one reads; the others go on with what is known, or wait for it.
        if self._stale() and self._reading.acquire(blocking=self._known is None):
            try:
                if self._stale():
                    self._refresh()
                    self._read_at = time.monotonic()
            finally:
                self._reading.release()
        if self._known is None:
            raise NoModel("no worker has announced a model yet")
        return self._known

    def workers(self) -> int:
        """Return how many workers are alive. Raises ``redis.RedisError``."""
        return int(self._client.zcount(WORKERS, time.time() - ALIVE_S, "+inf"))

    def _stale(self) -> bool:
        return time.monotonic() - self._read_at > FRESH_S

    def _refresh(self) -> None:
        try:
            raw = self._client.get(MODEL)
        except RedisError as error:
            logger.warning("the model's announcement can't be read: %s", error)
            return
        if raw is not None:
            self._known = _decode(raw)
