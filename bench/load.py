"""The load itself: an open loop that keeps to its schedule, or a closed one that never rests.

In an open loop a request is due at its time whatever came back, waits for a connection where all
are taken, and its latency counts from when it was due: a system that stalls is charged for every
request that should have been sent meanwhile (no coordinated omission).
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import deque
from collections.abc import Iterator, Sequence

import uvloop

from bench.messages import Message
from bench.pacer import Pacer
from bench.recorder import BROKEN, NO_ANSWER, Answer, Promise, Recorder, outcomes
from bench.wire import Connection, Sent, Target, render

#: Seconds after which a request without an answer has failed.
TIMEOUT_S = 20.0
#: Seconds between two looks at the schedule.
TICK_S = 0.001
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
        self._messages = messages
        self._recorder = recorder
        self._most = connections
        self._bulk = bulk
        self._pacer = pacer
        self._deadline_ms = deadline_ms
        self._all: set[Connection] = set()
        self._idle: list[Connection] = []
        self._opening: set[asyncio.Task[None]] = set()
        #: Due, and without a connection yet.
        self._due: deque[float] = deque()
        #: Messages drawn so far, warm-up included.
        self.drawn = 0
        self._measured_from = 0.0
        self._stopping = False

    def run(self, warmup_s: float, seconds: float, most_messages: int) -> tuple[float, float]:
        """Run the load.

        Returns:
            The monotonic time at which the measuring began, and the seconds measured, fewer than
            asked for where it was stopped.
        """
        return uvloop.run(self._run(warmup_s, seconds, most_messages))

    def stop(self) -> None:
        """Send no more; what is under way may still be answered."""
        self._stopping = True

    def finished(self, connection: Connection, sent: Sent, status: int, body: bytes) -> None:
        """Note a response and use its connection again."""
        found = outcomes(status, body, self._bulk > 1) if status else BROKEN
        self._note(sent, time.monotonic(), found)
        if not connection.closing:
            self._free(connection)

    def lost(self, connection: Connection) -> None:
        """Replace a connection that a closed loop needs, or that something waits for."""
        self._all.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        if not self._stopping and (self._pacer is None or self._due):
            self._open(1)

    def _note(self, sent: Sent, now: float, found: list[Answer] | Promise | str) -> None:
        due = sent.due - self._measured_from
        if due < 0:
            if now >= self._measured_from and isinstance(found, list):
                self._recorder.carried += len(sent.messages)
        else:
            self._recorder.note(sent.messages, due, sent.left - sent.due, now - sent.due, found)

    def _free(self, connection: Connection) -> None:
        if self._due:
            self._send(connection, self._due.popleft())
        elif self._pacer is None and not self._stopping:
            self._send(connection, time.monotonic())
        else:
            self._idle.append(connection)

    def _send(self, connection: Connection, due: float) -> None:
        messages = self._next()
        request = render(self._target, messages, self._bulk > 1, self._deadline_ms)
        connection.send(request, Sent(messages, due, time.monotonic()))

    def _next(self) -> Sequence[Message]:
        self.drawn += self._bulk
        return list(itertools.islice(self._messages, self._bulk))

    def _open(self, count: int) -> None:
        for _ in range(min(count, self._most - len(self._all) - len(self._opening))):
            task = asyncio.ensure_future(self._connect())
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        while not self._stopping:
            try:
                _, connection = await loop.create_connection(
                    lambda: Connection(self), self._target.host, self._target.port
                )
            except OSError:  # it does not listen, just now: the requests that are due wait
                await asyncio.sleep(0.1)
                continue
            self._all.add(connection)
            self._free(connection)
            return

    async def _run(self, warmup_s: float, seconds: float, most: int) -> tuple[float, float]:
        begin = time.monotonic()
        self._measured_from = begin + warmup_s
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
        most_requests = -(-most // self._bulk)
        while not self._stopping and (now := time.monotonic()) < end and sent < most_requests:
            for number in range(sent, min(most_requests, pacer.due_by(now - begin))):
                due = begin + pacer.due_at(number)
                if self._idle:
                    self._send(self._idle.pop(), due)
                else:
                    self._due.append(due)
                sent = number + 1
            if len(self._due) > len(self._opening):
                self._open(len(self._due) - len(self._opening))
            await asyncio.sleep(TICK_S)

    async def _closed_loop(self, end: float, most: int) -> None:
        self._open(self._most)
        while not self._stopping and time.monotonic() < end and self.drawn < most:
            await asyncio.sleep(0.01)

    async def _watch(self) -> None:
        """Give up requests that have waited too long: nobody broke their connection but we."""
        while True:
            await asyncio.sleep(1.0)
            now = time.monotonic()
            for connection in list(self._all):
                if connection.sent is not None and connection.sent.left < now - TIMEOUT_S:
                    self._unanswered(connection, now)
                    connection.abort()

    async def _drain(self) -> None:
        """Wait for what is under way; what is not answered then has failed."""
        self._stopping = True
        until = time.monotonic() + DRAIN_S
        while time.monotonic() < until and (self._due or any(c.sent for c in self._all)):
            await asyncio.sleep(0.01)
        now = time.monotonic()
        for due in self._due:
            self._note(Sent(self._next(), due, now), now, "never sent")
        for connection in self._all:
            self._unanswered(connection, now)

    def _unanswered(self, connection: Connection, now: float) -> None:
        """Note that what is under way, if anything, has no answer; later none counts."""
        sent, connection.sent = connection.sent, None
        if sent is not None:
            self._note(sent, now, NO_ANSWER)
