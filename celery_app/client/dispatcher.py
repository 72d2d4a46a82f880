"""The dispatcher holds the messages that this process has accepted and not yet answered.

Messages gather here until the process has a free credit; then all of them leave as one Celery
task. So the size of a chunk follows the load by itself: one when idle, dozens when busy. There is
no timer to tune, and the queue pushes back for free.

What was answered a short while ago is answered again at once. For the rest two coroutines work. The
*pump* looks up what was asked in the cache, one MGET for all who asked meanwhile, and sends what is
left. The *receiver* takes the workers' replies from this process's list and wakes whoever waits.
All of it runs in the loop's one thread, so that nothing here needs a lock.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from uuid import uuid4

import msgspec

from celery_app.client.dispatch import deadlines
from celery_app.client.dispatch.in_flight import InFlightChunk
from celery_app.client.dispatch.key_quota import KeyQuota
from celery_app.client.dispatch.local_cache import LocalCache
from celery_app.client.dispatch.version_queue import VersionQueue
from celery_app.client.entry import Entry, Key
from celery_app.client.redis.cache_lookup import CacheLookup, LookUp
from celery_app.client.redis.queue_capacity import QueueCapacity
from celery_app.client.run_forever import run_forever
from monitoring.instruments import request_ids
from monitoring.instruments.log_once import log_once
from monitoring.instruments.metrics import OUTCOMES, ApiMetrics
from monitoring.state.pressure import Level
from tasks.errors import (
    BrokerUnavailable,
    BylineError,
    DeadlinePassed,
    DeadlineTooShort,
    InternalError,
    NoAnswer,
    Overloaded,
)
from tasks.messages import Attribution, Failure, Outcome, Reply, suffices

#: Seconds between two looks for chunks that are not answered.
SWEEP_S = 1.0

logger = logging.getLogger(__name__)

_decode = msgspec.json.Decoder(Reply).decode
#: What is counted of a message that fails here, by the code of its error.
_OUTCOMES = {
    DeadlinePassed.code: "expired",
    DeadlineTooShort.code: "deadline_too_short",
    Overloaded.code: "shed",
}


#: ``send(chunk id, entries of one version and kind)`` gives them to the broker; may raise
#: ``BrokerUnavailable``, and ``Overloaded`` where the queue has no room.
Send = Callable[[str, Sequence[Entry]], Awaitable[None]]
#: Waits until a reply is there, or a while. Raises ``RedisError``.
Receive = Callable[[], Awaitable[bytes | None]]


class Dispatcher:
    """The messages of one front-end process. To be made and used in its loop's thread."""

    def __init__(
        self,
        send: Send,
        receive: Receive,
        look_up: LookUp,
        *,
        credits: int,
        chunk_work: int,
        capacity: int,
        answer_s: float,
        local_cache: LocalCache,
        workers: Callable[[str], int],
        pressure: Callable[[], Level],
        queue_capacity: QueueCapacity,
        metrics: ApiMetrics,
    ) -> None:
        """Chunks unanswered for ``answer_s`` seconds are given up, and their credits are free.

        ``chunk_work`` is the largest chunk and ``capacity`` what may wait, in messages' worth.
        ``workers(version)`` is how many workers serve it; ``pressure()``, how full the memory is;
        ``queue_capacity``, that of the queue.
        """
        self._pressure = pressure
        self._queue_capacity = queue_capacity
        self._metrics = metrics
        self._counters = {outcome: metrics.messages.labels(outcome) for outcome in OUTCOMES}
        self._send = send
        self._receive = receive
        self._room = KeyQuota(capacity)
        self._answer_s = answer_s
        self._local_cache = local_cache
        self._joinable: dict[Key, Entry] = {}
        self._work = asyncio.Event()
        self._cache_lookup = CacheLookup(look_up, self._work.set, self._busy)
        self._new_version_queue = lambda version: VersionQueue(
            credits, chunk_work, answer_s, lambda: workers(version) or 1, self._work.set
        )
        self._workers = workers
        #: By version.
        self._version_queues: dict[str, VersionQueue] = {}
        self._running: list[asyncio.Task[None]] = []
        #: The one that this runs in, once it does.
        self.loop: asyncio.AbstractEventLoop

    def start(self) -> None:
        """Start the three coroutines; they run until :meth:`stop`."""
        self.loop = asyncio.get_running_loop()  # to ask for it is a system call
        steps = (self._pump, self._take_reply, self._sweep)
        self._running = [asyncio.ensure_future(run_forever(step)) for step in steps]

    async def stop(self) -> None:
        """Stop them. What is unanswered stays so."""
        running = set(self._running)
        while running:
            for task in running:
                task.cancel()  # not only once: redis-py, while it connects, takes no notice
            _, running = await asyncio.wait(running, timeout=0.1)

    @property
    def unanswered(self) -> int:
        """How many messages are on their way."""
        return self._room.messages

    @property
    def wait_s(self) -> float:
        """Seconds that a message that comes now will take, by the pace of the last few seconds."""
        return max(map(self.wait_for, self._version_queues), default=0.0)

    def wait_for(self, version: str) -> float:
        """Return the same of a message for one version."""
        version_queue = self._version_queues.get(version)
        return version_queue.admission.wait_s if version_queue else 0.0

    def ask(self, entries: Sequence[Entry]) -> list[Entry]:
        """Take the messages of one request. Return those to wait for: these, or ones they join.

        Raises:
            Overloaded: too many are on their way. None of ``entries`` was taken.
        """
        size = sum([entry.size for entry in entries])
        if size and not self._room.holds(entries[0].owner, size):
            self._count("shed", len(entries))
            raise Overloaded(f"{self.unanswered:,} messages wait already")
        joined = [self._join(entry) for entry in entries]
        if self._cache_lookup:
            self._cache_lookup.soon()
        return joined

    def passed(self, entry: Entry) -> Failure:
        """Return why there is no answer by a deadline: see ``deadlines.passed``."""
        return deadlines.passed(entry, self._version_queue_of(entry.version).latency_model.idle)

    def hasten(self, entries: Iterable[Entry]) -> None:
        """Have these leave even without a credit: their answer is to be promised for later."""
        for entry in entries:
            entry.urgent = True
        self._work.set()

    def _busy(self) -> bool:
        return any(version_queue.in_flight for version_queue in self._version_queues.values())

    def _join(self, entry: Entry) -> Entry:
        known = self._local_cache.get(entry.id)
        if known is not None and suffices(known, entry.explain):
            entry.settle(known)
            self._count("cached")
            return entry
        if entry.key is not None:
            first = self._joinable.setdefault(entry.key, entry)
            if first is not entry:
                self._count("joined")
                return first
        self._accept(entry)
        return entry

    def _accept(self, entry: Entry) -> None:
        self._room.take(entry)
        self._cache_lookup.add(entry)

    def _settle(self, entry: Entry, outcome: Outcome) -> None:
        if isinstance(outcome, Attribution):
            self._local_cache.put(outcome)
        self._room.free(entry)
        key = entry.key
        if key is not None and self._joinable.get(key) is entry:
            del self._joinable[key]
        entry.settle(outcome)

    def _fail(self, entries: Iterable[Entry], error: BylineError) -> None:
        for entry in entries:
            self._count(_OUTCOMES.get(error.code, "failed"))
            self._settle(entry, Failure(entry.id, error.code, str(error)))

    def _count(self, outcome: str, messages: int = 1) -> None:
        self._counters[outcome].inc(messages)

    async def _pump(self) -> None:
        await self._work.wait()
        self._work.clear()
        await self._look_up()
        for version_queue in list(self._version_queues.values()):
            await self._send_from(version_queue)

    async def _sweep(self) -> None:
        await asyncio.sleep(SWEEP_S)
        self._give_up()
        self._local_cache.shrink(self._pressure() != "ok")
        self._metrics.dispatcher.set(self.unanswered)
        self._metrics.credits_in_use.set(
            sum(
                len(version_queue.in_flight.in_time)
                for version_queue in self._version_queues.values()
            )
        )
        self._version_queues = {
            version: version_queue
            for version, version_queue in self._version_queues.items()
            if self._workers(version) or not version_queue.idle
        }
        self._work.set()  # a chunk that stalled holds no credit, a deadline may have passed

    async def _look_up(self) -> None:
        """Answer from the cache what it has; the rest waits to be sent."""
        for entry, known in await self._cache_lookup.ask():
            if known is not None:
                self._settle(entry, known)
                self._count("cached" if isinstance(known, Attribution) else "failed")
            elif refusal := self._refusal(entry):
                self._fail([entry], refusal)
            else:
                self._version_queue_of(entry.version).add(entry)

    def _version_queue_of(self, version: str) -> VersionQueue:
        version_queue = self._version_queues.get(version)
        if version_queue is None:
            version_queue = self._version_queues[version] = self._new_version_queue(version)
        return version_queue

    def _refusal(self, entry: Entry) -> BylineError | None:
        if self._pressure() == "critical":
            return Overloaded("memory is short: only what is known is answered")
        try:
            self._queue_capacity.check()
        except Overloaded as error:
            return error
        version_queue = self._version_queue_of(entry.version)
        if len(self._version_queues) > 1 and self._room.is_half_full_of(entry.version):
            # The rest is for the others: a canary that hangs must not keep them out.
            return Overloaded("too many messages wait already for this version")
        if version_queue.admission.too_late(entry):
            return deadlines.too_short(entry, version_queue.latency_model.idle) or Overloaded(
                f"it would take {version_queue.admission.wait_s:.1f} s"
            )
        return None

    async def _send_from(self, version_queue: VersionQueue) -> None:
        for entry in version_queue.drop_late():
            failure = self.passed(entry)
            self._count(_OUTCOMES[failure.code])
            self._settle(entry, failure)
        while entries := version_queue.next_chunk():
            await self._dispatch(version_queue, entries)

    async def _dispatch(self, version_queue: VersionQueue, entries: list[Entry]) -> None:
        chunk = str(uuid4())
        version_queue.in_flight.add(chunk, entries)
        self._metrics.chunk_messages.observe(len(entries))
        try:
            await self._send(chunk, entries)
        except (BrokerUnavailable, Overloaded) as error:
            if version_queue.in_flight.pop(chunk):
                self._fail(entries, error)
            return
        except Exception as error:  # a defect, but who asked must be answered all the same
            if version_queue.in_flight.pop(chunk):
                self._fail(entries, InternalError("the message could not be sent"))
            with request_ids.about([entry.request_id for entry in entries]):
                error.add_note(f"a chunk could not be sent{request_ids.words()}")
            raise
        for entry in entries:
            entry.sent.set()

    def _give_up(self) -> None:
        """Free the credits of chunks whose replies are lost; their results are in the cache."""
        for version_queue in self._version_queues.values():
            for entries in version_queue.in_flight.given_up():
                self._fail(entries, NoAnswer(f"no worker answered within {self._answer_s:g} s"))

    async def _take_reply(self) -> None:
        raw = await self._receive()
        if raw is None:
            return
        try:
            reply = _decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            self._drop_reply(type(error).__name__)
            return
        self._queue_capacity.free(reply.chunk)
        version_queue = next(
            (
                version_queue
                for version_queue in self._version_queues.values()
                if reply.chunk in version_queue.in_flight
            ),
            None,
        )
        if (
            version_queue is None
            or (chunk_in_flight := version_queue.in_flight.pop(reply.chunk)) is None
        ):
            return
        answered = any(isinstance(outcome, Attribution) for outcome in reply.outcomes)
        alone = answered and len(chunk_in_flight.entries) == 1
        version_queue.latency_model.came_back(chunk_in_flight.work, chunk_in_flight.sent_at, alone)
        self._answer(version_queue, chunk_in_flight, reply)
        if version_queue.waits or self._cache_lookup:
            self._work.set()

    def _answer(
        self, version_queue: VersionQueue, chunk_in_flight: InFlightChunk, reply: Reply
    ) -> None:
        """Settle the messages of a chunk with what its reply says of each."""
        entries, idle = chunk_in_flight.entries, version_queue.latency_model.idle
        if len(reply.outcomes) > len(entries):
            self._drop_reply("too many outcomes")
            reply = Reply(reply.chunk, [])
        for entry, outcome in zip(entries, reply.outcomes, strict=False):
            if not entry.may_be(outcome):
                self._drop_reply("an outcome of another message")
                self._fail([entry], InternalError("the worker's reply was to another message"))
                continue
            self._settle(entry, deadlines.told(entry, outcome, idle))
        missing = entries[len(reply.outcomes) :]
        self._fail(missing, InternalError("the worker's reply left the message out"))

    def _drop_reply(self, kind: str) -> None:
        """Count a reply, or a part of one, that can't be used. Those behind it are not held up."""
        self._metrics.replies_dropped.inc()
        log_once(logger, logging.ERROR, "a reply can't be read, and is dropped: %s", kind)
