"""A connection to Redis that commands share, answered in their order.

redis-py's client for asyncio takes about 130 us of CPU a command, for its pool, its locks, and a
timer for each step; here it is a third of that. To connect is left to redis-py, which knows what an
address may ask for: TLS, a user, a database.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Any

import hiredis
from redis import RedisError, ResponseError, exceptions
from redis.asyncio import ConnectionPool
from redis.exceptions import InvalidResponse

#: Seconds after which a command is sent once more whose connection broke.
AGAIN_S = 0.05


class RedisConnection:
    """Sends commands; connects where it must. To be used in one loop's thread."""

    def __init__(self, pool: ConnectionPool, timeout_s: float) -> None:
        """``pool`` says how to connect. A Redis silent for ``timeout_s`` seconds counts as gone."""
        self._pool = pool
        self._timeout_s = timeout_s
        self._wire: _Wire | None = None
        self._connecting = asyncio.Lock()

    async def call(self, *command: str | bytes | float) -> Any:
        """Return what Redis answers, strings as bytes. What gets no answer is sent once more.

        Raises:
            RedisError: it refuses, or can't be reached.
        """
        packed = hiredis.pack_command(command)  # type: ignore[arg-type]  # tuples of any length
        wire = await self._connected()
        try:
            answer = await wire.send(packed)
        except (exceptions.ConnectionError, exceptions.TimeoutError):
            await asyncio.sleep(AGAIN_S)
            wire = await self._connected()
            answer = await wire.send(packed)
        if isinstance(answer, RedisError):
            raise answer
        return answer

    async def _connected(self) -> _Wire:
        if self._wire is not None and not self._wire.broken:
            return self._wire
        async with self._connecting:
            if self._wire is None or self._wire.broken:
                connection = self._pool.make_connection()
                await connection.connect()  # tries twice
                self._wire = _Wire(connection, self._timeout_s)
            return self._wire


class _Wire(asyncio.Protocol):
    """One connection, from when it is made until it breaks."""

    def __init__(self, connection: Any, timeout_s: float) -> None:
        #: What redis-py has made; it holds the transport, and closes it with the last reference.
        self._connection = connection
        self._transport: asyncio.Transport = connection._writer.transport
        self._timeout_s = timeout_s
        self._reader = hiredis.Reader(protocolError=InvalidResponse, replyError=ResponseError)
        #: Who waits for an answer, and since when; monotonic, in seconds.
        self._waiting: deque[tuple[asyncio.Future[Any], float]] = deque()
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self.broken = self._transport.is_closing()
        self._transport.set_protocol(self)

    async def send(self, packed: bytes) -> Any:
        """Return the answer, an error too. Raises redis-py's errors of connections."""
        if self.broken:
            raise exceptions.ConnectionError("the connection broke")
        waiter = self._loop.create_future()
        self._waiting.append((waiter, time.monotonic()))
        if self._timer is None:
            self._timer = self._loop.call_later(self._timeout_s, self._look)
        self._transport.write(packed)
        return await waiter

    def data_received(self, data: bytes) -> None:
        """Part of asyncio's protocol."""
        self._reader.feed(data)
        try:
            while (answer := self._reader.gets()) is not False:
                if not isinstance(answer, hiredis.PushNotification):  # nobody has asked for it
                    waiter, _ = self._waiting.popleft()
                    if not waiter.done():
                        waiter.set_result(answer)
        except (InvalidResponse, IndexError):
            self._break(exceptions.ConnectionError("Redis says what can't be understood"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Part of asyncio's protocol."""
        self._break(exceptions.ConnectionError(f"the connection to Redis broke: {exc or 'closed'}"))

    def _look(self) -> None:
        """See whether the oldest command has waited for too long."""
        self._timer = None
        if self.broken or not self._waiting:
            return
        left = self._waiting[0][1] + self._timeout_s - time.monotonic()
        if left > 0:
            self._timer = self._loop.call_later(left, self._look)
        else:
            self._break(exceptions.TimeoutError("Redis is silent"))

    def _break(self, error: RedisError) -> None:
        self.broken = True
        self._transport.abort()
        waiting, self._waiting = self._waiting, deque()
        for waiter, _ in waiting:
            if not waiter.done():
                waiter.set_exception(error)
