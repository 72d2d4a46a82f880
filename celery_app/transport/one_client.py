"""Kombu's channel for Redis with one Redis client, which survives the loss of the connection."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kombu.transport import redis
from redis import ConnectionError as RedisConnectionError
from redis import ConnectionPool, Redis

from tasks.storage.full_redis import Client


class OneClientChannel(redis.Channel):
    """Kombu's channel for Redis with one client, where kombu makes a client for each command."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._shared: Redis | None = None
        super().__init__(*args, **kwargs)

    @contextmanager
    def conn_or_acquire(self, client: Redis | None = None) -> Iterator[Redis]:
        """Yields ``client``, or else the same Redis client each time.

        Making a new client, as kombu does, is slow.
        """
        if client:
            yield client
            return
        if self._shared is None or self._shared.connection_pool is not self.pool:
            self._shared = self._create_client()
        yield self._shared

    def _get_pool(self, asynchronous: bool = False) -> ConnectionPool:
        """Makes a pool of connections.

        Raises a connection error if kombu's connection is closed, where kombu raises an
        ``AttributeError``. Celery closes a lost connection twice. The second time, kombu gives
        tasks back through a connection that is gone. An error other than a connection error would
        end the worker.
        """
        if self.connection is None or self.connection.client is None:
            raise RedisConnectionError("the connection to the broker is closed")
        return super()._get_pool(asynchronous)

    def _get_client(self) -> type[Client]:
        super()._get_client()  # checks the version of redis-py
        return Client
