"""A connection to Redis that many commands share. Redis answers them in their order.

redis-py's client for asyncio takes about 130 us of CPU a command, for its pool, its locks, and a
timer for each step. This connection takes a third of that. redis-py still opens the connection,
since it knows what a URL may ask for, such as TLS, a user, or a database.
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

#: Seconds after which a command whose connection broke is sent once more.
AGAIN_S = 0.05


class RedisConnection:
    """Sends commands to Redis, and connects if necessary. Use it in one event loop's thread."""

    def __init__(self, pool: ConnectionPool, timeout_s: float) -> None:
        """``pool`` makes the connections.

        A Redis silent for ``timeout_s`` seconds counts as gone.
        """
        self._pool = pool
        self._timeout_s = timeout_s
        self._protocol: _RedisProtocol | None = None
        self._connecting = asyncio.Lock()

    async def call(self, *command: str | bytes | float) -> Any:
        """Sends one command, and returns the response of Redis, with strings as bytes.

        If the connection breaks, the command is sent once more.

        Raises:
            RedisError: Redis refuses the command, or can't be reached.
        """
        packed = hiredis.pack_command(command)  # type: ignore[arg-type]  # tuples of any length
        protocol = await self._connected()
        try:
            response = await protocol.send(packed)
        except (exceptions.ConnectionError, exceptions.TimeoutError):
            await asyncio.sleep(AGAIN_S)
            protocol = await self._connected()
            response = await protocol.send(packed)
        if isinstance(response, RedisError):
            raise response
        return response

    def close(self) -> None:
        """Closes the connection. A later command opens another."""
        if self._protocol is not None:
            self._protocol.close()

    async def _connected(self) -> _RedisProtocol:
        if self._protocol is not None and not self._protocol.broken:
            return self._protocol
        async with self._connecting:
            if self._protocol is None or self._protocol.broken:
                connection = self._pool.make_connection()
                await connection.connect()  # tries twice
                self._protocol = _RedisProtocol(connection, self._timeout_s)
            return self._protocol


class _RedisProtocol(asyncio.Protocol):
    """One connection to Redis, until it breaks."""

    def __init__(self, connection: Any, timeout_s: float) -> None:
        #: redis-py's connection. It holds the transport, and closes it with the last reference.
        self._connection = connection
        self._transport: asyncio.Transport = connection._writer.transport
        self._timeout_s = timeout_s
        self._reader = hiredis.Reader(protocolError=InvalidResponse, replyError=ResponseError)
        #: Commands without a response: the future, and the monotonic time of sending in seconds.
        self._waiting: deque[tuple[asyncio.Future[Any], float]] = deque()
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self.broken = self._transport.is_closing()
        self._transport.set_protocol(self)

    async def send(self, packed: bytes) -> Any:
        """Sends a packed command. Returns the response, which may be an error object.

        Raises redis-py's connection errors.
        """
        if self.broken:
            raise exceptions.ConnectionError("the connection broke")
        waiter = self._loop.create_future()
        self._waiting.append((waiter, time.monotonic()))
        if self._timer is None:
            self._timer = self._loop.call_later(self._timeout_s, self._check_timeout)
        self._transport.write(packed)
        return await waiter

    def close(self) -> None:
        """Closes the connection. Commands without a response fail."""
        self._break(exceptions.ConnectionError("the connection was closed"))

    def data_received(self, data: bytes) -> None:
        """Hands each response to the command that waits for it; called by asyncio."""
        self._reader.feed(data)
        try:
            while (response := self._reader.gets()) is not False:
                if not isinstance(response, hiredis.PushNotification):  # no command asked for it
                    waiter, _ = self._waiting.popleft()
                    if not waiter.done():
                        waiter.set_result(response)
        except (InvalidResponse, IndexError):
            self._break(exceptions.ConnectionError("the response of Redis can't be read"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Fails the commands that have no response; called by asyncio."""
        self._break(exceptions.ConnectionError(f"the connection to Redis broke: {exc or 'closed'}"))

    def _check_timeout(self) -> None:
        """Breaks the connection if the oldest command has waited for too long."""
        self._timer = None
        if self.broken or not self._waiting:
            return
        left = self._waiting[0][1] + self._timeout_s - time.monotonic()
        if left > 0:
            self._timer = self._loop.call_later(left, self._check_timeout)
        else:
            self._break(exceptions.TimeoutError(f"Redis was silent for {self._timeout_s:g} s"))

    def _break(self, error: RedisError) -> None:
        self.broken = True
        self._transport.abort()
        waiting, self._waiting = self._waiting, deque()
        for waiter, _ in waiting:
            if not waiter.done():
                waiter.set_exception(error)
