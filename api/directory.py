"""Which model is served, and by how many workers: what the workers have announced."""

from __future__ import annotations

import logging
import time
from threading import Lock

import gevent
import msgspec
from redis import Redis, RedisError

from tasks.errors import NoModel
from tasks.messages import ALIVE_S, MODEL, WORKERS, Announcement

logger = logging.getLogger(__name__)

#: Seconds for which an announcement is believed before it is read again; and that there is none.
FRESH_S = 1.0
NONE_YET_S = 0.1

_decode = msgspec.json.Decoder(Announcement).decode


class Directory:
    """Reads the announcements, at most once a second. Keeps the last one while Redis is gone."""

    def __init__(self, cache: Redis, broker: Redis) -> None:
        self._client = cache
        self._servers = {"broker": broker, "cache": cache}
        self._known: Announcement | None = None
        self._read_at = float("-inf")
        self._reading = Lock()

    def current(self) -> Announcement:
        """Return the announcement of the model being served.

        Raises:
            NoModel: no worker has announced one here.
        """
        if self._stale():
            if self._known is None:
                with self._reading:  # of many requests one reads, the others wait for it
                    self._refresh()
            elif not self._reading.locked():  # no request waits where Redis is slow to answer
                gevent.spawn(self._refresh_alone)
        if self._known is None:
            raise NoModel("no worker has announced a model yet")
        return self._known

    def check(self) -> dict[str, str]:
        """Return the state of each server, ``ok`` where it answers."""
        return {name: _ping(client) for name, client in self._servers.items()}

    def workers(self) -> int:
        """Return how many workers are alive. Raises ``redis.RedisError``."""
        return int(self._client.zcount(WORKERS, time.time() - ALIVE_S, "+inf"))

    def _stale(self) -> bool:
        believed_s = NONE_YET_S if self._known is None else FRESH_S
        return time.monotonic() - self._read_at > believed_s

    def _refresh_alone(self) -> None:
        with self._reading:
            self._refresh()

    def _refresh(self) -> None:
        if not self._stale():
            return  # another has read meanwhile
        try:
            raw = self._client.get(MODEL)
            if raw is not None:
                self._known = _decode(raw)
        except RedisError as error:
            logger.warning("the model's announcement can't be read: %s", error)
        self._read_at = time.monotonic()


def _ping(client: Redis) -> str:
    try:
        client.ping()
    except RedisError as error:
        return f"unreachable: {type(error).__name__}"
    return "ok"
