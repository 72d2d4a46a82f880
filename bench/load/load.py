"""The load itself: an open loop that keeps to its schedule, or a closed one that never rests.

In an open loop a request is due at its time whatever came back, waits for a connection where all
are taken, and its latency counts from when it was due: a system that stalls is charged for every
request that should have been sent meanwhile (no coordinated omission).
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

#: Seconds after which a request without an answer has failed.
TIMEOUT_S = 20.0
#: Seconds between two looks at the schedule, at least, and between two at whether it is over.
TICK_S, LOOK_S = 0.001, 0.01
#: Seconds given, after the last request was due, to those still under way.
DRAIN_S = 10.0


class HttpLoad:
    """Sends messages to ``target`` until it is stopped or the time is over."""

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
        self._stock = RequestPool(target, messages, bulk, deadline_ms)
        self._recorder = recorder
        self._most = connections
        self._bulk = bulk
        self._pacer = pacer
        self._all: set[Connection] = set()
        self._idle: list[Connection] = []
        self._opening: set[asyncio.Task[None]] = set()
        #: Due, and without a connection yet.
        self._due: deque[float] = deque()
        #: Requests sent so far, warm-up included.
        self._sent = 0
        self._measured_from = 0.0
        self._stopping = False

    def prepare(self, messages: int) -> None:
        """Have so many messages ready, or as many as memory is given to; ends early at a stop.

        Without it, each request is drawn when it is sent.
        """
        self._stock.fill(messages, lambda: self._stopping)

    def run(self, warmup_s: float, seconds: float, most_messages: int) -> tuple[float, float]:
        """Runs the load. The recorder has yet to judge what it kept.

        Returns:
            The monotonic time at which the measuring began, and the seconds measured, fewer than
            asked for where it was stopped.
        """
        return uvloop.run(self._run(warmup_s, seconds, -(-most_messages // self._bulk)))

    def stop(self) -> None:
        """Sends no more than what is due; what is under way may still be answered."""
        self._stopping = True

    def finished(self, connection: Connection, request: Request, status: int, body: bytes) -> None:
        """Notes a response and use its connection again."""
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
        """Replaces a connection that a closed loop needs, or that something waits for."""
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

    def _send(self, connection: Connection, due: float, now: float) -> None:
        self._sent += 1
        connection.send(self._stock.take(), due, now)

    def _open(self, count: int) -> None:
        for _ in range(min(count, self._most - len(self._all) - len(self._opening))):
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
            except OSError:  # it does not listen, just now: the requests that are due wait
                await asyncio.sleep(0.1)
                continue
            self._all.add(connection)
            self._free(connection, time.monotonic())
            return

    async def _run(self, warmup_s: float, seconds: float, most: int) -> tuple[float, float]:
        begin = time.monotonic()
        self._measured_from = self._recorder.began = begin + warmup_s
        end = self._measured_from + seconds
        watcher = asyncio.ensure_future(self._watch())
        try:
            if self._pacer is None:
                await self._closed_loop(end, most)
            else:
                await self._open_loop(self._pacer, begin, end, most)
            measured = max(0.0, min(time.monotonic(), end) - self._measured_from)
            await self._drain()
        finally:
            watcher.cancel()
            for connection in list(self._all):
                connection.abort()
        return self._measured_from, measured

    async def _open_loop(self, pacer: Pacer, begin: float, end: float, most: int) -> None:
        sent = 0
        while not self._stopping and (now := time.monotonic()) < end and sent < most:
            reached = min(most, pacer.due_by(now - begin))
            for number in range(sent, reached):
                due = begin + pacer.due_at(number)
                if self._idle:
                    self._send(self._idle.pop(), due, time.monotonic())
                else:
                    self._due.append(due)
            sent = reached
            if len(self._due) > len(self._opening):
                self._open(len(self._due) - len(self._opening))
            until_next = begin + pacer.due_at(sent) - time.monotonic()
            await asyncio.sleep(min(max(TICK_S, until_next), LOOK_S))

    async def _closed_loop(self, end: float, most: int) -> None:
        self._open(self._most)
        while not self._stopping and time.monotonic() < end and self._sent < most:
            await asyncio.sleep(LOOK_S)

    async def _watch(self) -> None:
        """Gives up requests that have waited too long: nobody broke their connection but we."""
        while True:
            await asyncio.sleep(1.0)
            now = time.monotonic()
            for connection in list(self._all):
                if connection.request is not None and connection.left < now - TIMEOUT_S:
                    self._unanswered(connection, now)
                    connection.abort()

    async def _drain(self) -> None:
        """Waits for what is under way; what is not answered then has failed."""
        self._stopping = True
        until = time.monotonic() + DRAIN_S
        while time.monotonic() < until and (self._due or any(c.request for c in self._all)):
            await asyncio.sleep(LOOK_S)
        now = time.monotonic()
        for due in self._due:
            self._note(self._stock.take(), due, now, now, "never sent")
        for connection in self._all:
            self._unanswered(connection, now)

    def _unanswered(self, connection: Connection, now: float) -> None:
        """Notes that what is under way, if anything, has no answer; later none counts."""
        request, connection.request = connection.request, None
        if request is not None:
            self._note(request, connection.due, connection.left, now, NO_ANSWER)
