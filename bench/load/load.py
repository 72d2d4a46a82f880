"""A load over HTTP: an open loop with a fixed schedule, or a closed loop that never pauses.

In an open loop, a request's latency counts from the time at which the request was due. So a stall
adds to the latency of every request that is due meanwhile (no coordinated omission).
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterator

import uvloop

from bench.load.http_client import Connection, Request, Target
from bench.load.messages import Message
from bench.load.recorder import BROKEN, NO_ANSWER, Answer, Promise, Recorder, outcomes
from bench.load.request_pool import RequestPool
from bench.load.schedule import Pacer

#: Seconds after which a request without a response has failed.
TIMEOUT_S = 20.0
#: Shortest time between two checks of the schedule, in seconds.
TICK_S = 0.001
#: Longest time in seconds between two checks of the schedule, and of the end of the load.
LOOK_S = 0.01
#: Seconds after the end of the load within which the requests under way must end.
DRAIN_S = 10.0


class HttpLoad:
    """Sends messages to ``target`` until the load is stopped or its time is over.

    At most ``connections`` requests of ``bulk`` messages are under way. If ``pacer`` is None, the
    load is a closed loop.
    """

    def __init__(
        self,
        target: Target,
        messages: Iterator[Message],
        recorder: Recorder,
        *,
        connections: int,
        bulk: int,
        pacer: Pacer | None,
        deadline_ms: int | None = None,
    ) -> None:
        self._target = target
        self._request_pool = RequestPool(target, messages, bulk, deadline_ms)
        self._recorder = recorder
        self._max_connections = connections
        self._bulk = bulk
        self._pacer = pacer
        self._all: set[Connection] = set()
        self._idle: list[Connection] = []
        self._opening: set[asyncio.Task[None]] = set()
        #: Due times of the requests that wait for a connection, in seconds of the monotonic clock.
        self._due: deque[float] = deque()
        #: Requests sent so far, warm-up included.
        self._sent = 0
        self._measured_from = 0.0
        self._stopping = False

    def prepare(self, messages: int) -> None:
        """Renders the first requests as bytes, before the load runs.

        These requests have ``messages`` messages together, or fewer if the request pool is full or
        the load is stopped. Later requests are rendered when they are sent.
        """
        self._request_pool.fill(messages, lambda: self._stopping)

    def run(self, warmup_s: float, seconds: float, max_messages: int) -> tuple[float, float]:
        """Runs the load. Measures for ``seconds`` seconds after ``warmup_s`` seconds of warm-up.

        The load ends early once ``max_messages`` messages are sent, including those of the warm-up.
        Some responses are still undecoded afterwards. The caller has to decode them with the
        recorder's ``judge_kept``.

        Returns:
            The monotonic time at which the measurement began, and the seconds that were measured.
        """
        return uvloop.run(self._run(warmup_s, seconds, -(-max_messages // self._bulk)))

    def stop(self) -> None:
        """Stops the load. Requests that are already due are still sent, and recorded."""
        self._stopping = True

    def finished(self, connection: Connection, request: Request, status: int, body: bytes) -> None:
        """Records the response to ``request``, and frees the connection for the next request."""
        now = time.monotonic()
        since = connection.due - self._measured_from
        if status == 200 and since >= 0:
            late, latency = connection.left - connection.due, now - connection.due
            self._recorder.keep(request.messages, since, late, latency, body)
        elif now >= self._measured_from:
            found = outcomes(status, body, self._bulk > 1) if status else BROKEN
            self._note(request, connection.due, connection.left, now, found)
        if not connection.closing:
            self._free(connection, now)

    def lost(self, connection: Connection) -> None:
        """Replaces a lost connection if the closed loop or a waiting request needs a connection."""
        self._all.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        if self._due or (self._pacer is None and not self._stopping):
            self._open(1)

    def _note(
        self,
        request: Request,
        due: float,
        left: float,
        now: float,
        found: list[Answer] | Promise | str,
    ) -> None:
        since = due - self._measured_from
        if since >= 0:
            self._recorder.note(request.messages, since, left - due, now - due, found)
        elif now >= self._measured_from and isinstance(found, list):
            self._recorder.carried += len(request.messages)

    def _free(self, connection: Connection, now: float) -> None:
        if self._due:
            self._send(connection, self._due.popleft(), now)
        elif self._pacer is None and not self._stopping:
            self._send(connection, now, now)
        else:
            self._idle.append(connection)

    def _take_idle(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_dropped():
                return connection
            connection.abort()
        return None

    def _send(self, connection: Connection, due: float, now: float) -> None:
        self._sent += 1
        connection.send(self._request_pool.take(), due, now)

    def _open(self, count: int) -> None:
        for _ in range(min(count, self._max_connections - len(self._all) - len(self._opening))):
            task = asyncio.ensure_future(self._connect())
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        while self._due or not self._stopping:
            try:
                _, connection = await loop.create_connection(
                    lambda: Connection(self), self._target.host, self._target.port
                )
            except OSError:  # the target does not listen now, so due requests wait
                await asyncio.sleep(0.1)
                continue
            self._all.add(connection)
            self._free(connection, time.monotonic())
            return

    async def _run(self, warmup_s: float, seconds: float, max_requests: int) -> tuple[float, float]:
        begin = time.monotonic()
        self._measured_from = self._recorder.began = begin + warmup_s
        end = self._measured_from + seconds
        watcher = asyncio.ensure_future(self._watch())
        try:
            if self._pacer is None:
                await self._closed_loop(end, max_requests)
            else:
                await self._open_loop(self._pacer, begin, end, max_requests)
            measured = max(0.0, min(time.monotonic(), end) - self._measured_from)
            await self._drain()
        finally:
            watcher.cancel()
            for connection in list(self._all):
                connection.abort()
        return self._measured_from, measured

    async def _open_loop(self, pacer: Pacer, begin: float, end: float, max_requests: int) -> None:
        # A stall must not hide requests: those that are due before the end are sent even after it.
        sent, last = 0, min(max_requests, pacer.due_before(end - begin))
        while not self._stopping and sent < max_requests:
            now = time.monotonic()
            if now >= end and sent == last:
                return
            reached = min(last, pacer.due_by(now - begin))
            for number in range(sent, reached):
                due = begin + pacer.due_at(number)
                if connection := self._take_idle():
                    self._send(connection, due, time.monotonic())
                else:
                    self._due.append(due)
            sent = reached
            if len(self._due) > len(self._opening):
                self._open(len(self._due) - len(self._opening))
            until_next = begin + pacer.due_at(sent) - time.monotonic()
            await asyncio.sleep(min(max(TICK_S, until_next), LOOK_S))

    async def _closed_loop(self, end: float, max_requests: int) -> None:
        self._open(self._max_connections)
        while not self._stopping and time.monotonic() < end and self._sent < max_requests:
            await asyncio.sleep(LOOK_S)

    async def _watch(self) -> None:
        """Counts a request as failed if it has no response ``TIMEOUT_S`` seconds after it was sent.

        Then closes the connection of this request.
        """
        while True:
            await asyncio.sleep(1.0)
            now = time.monotonic()
            for connection in list(self._all):
                if connection.request is not None and connection.left < now - TIMEOUT_S:
                    self._fail_unfinished(connection, now)
                    connection.abort()

    async def _drain(self) -> None:
        """Waits up to ``DRAIN_S`` seconds for responses.

        After that time, counts each request without a response as failed.
        """
        self._stopping = True
        until = time.monotonic() + DRAIN_S
        while time.monotonic() < until and (self._due or any(c.request for c in self._all)):
            await asyncio.sleep(LOOK_S)
        now = time.monotonic()
        for due in self._due:
            self._note(self._request_pool.take(), due, now, now, "never sent")
        for connection in self._all:
            self._fail_unfinished(connection, now)

    def _fail_unfinished(self, connection: Connection, now: float) -> None:
        """Counts the unfinished request of ``connection``, if there is one, as failed.

        If its response comes later, the response is ignored.
        """
        request, connection.request = connection.request, None
        if request is not None:
            self._note(request, connection.due, connection.left, now, NO_ANSWER)
