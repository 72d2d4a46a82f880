"""Kombu's channel for Redis, changed to use one Redis client and to survive a lost connection."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kombu.transport import redis
from redis import ConnectionError as RedisConnectionError
from redis import ConnectionPool, Redis

from tasks.storage.full_redis import Client


class OneClientChannel(redis.Channel):
    """Kombu's channel for Redis, changed to use one client for all commands."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._shared: Redis | None = None
        super().__init__(*args, **kwargs)

    @contextmanager
    def conn_or_acquire(self, client: Redis | None = None) -> Iterator[Redis]:
        """Yields ``client`` if it is given, otherwise the channel's one Redis client.

        Kombu makes a new client for each call, which is slow.
        """
        if client:
            yield client
            return
        if self._shared is None or self._shared.connection_pool is not self.pool:
            self._shared = self._create_client()
        yield self._shared

    def _get_pool(self, asynchronous: bool = False) -> ConnectionPool:
        """Makes a connection pool. Raises a connection error if kombu's connection is closed."""
        # Celery closes a lost connection twice. The second time, kombu gives tasks back through the
        # closed connection. Kombu's own method would raise an AttributeError, which would end the
        # worker.
        if self.connection is None or self.connection.client is None:
            raise RedisConnectionError("the connection to the broker is closed")
        return super()._get_pool(asynchronous)

    def _get_client(self) -> type[Client]:
        super()._get_client()  # checks the version of redis-py
        return Client
