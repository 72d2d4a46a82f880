"""The dispatcher: sends the messages of one process as Celery tasks, and takes the replies.

Messages usually gather until a credit is free, and are then sent as a chunk, which is one Celery
task. A credit is a permit to have one chunk in flight. So the size of a chunk follows the load: one
message when idle, dozens when busy.

Three coroutines run in one event loop, so nothing here needs a lock. The *pump* looks messages up
in the result cache, and sends the messages that are not cached. The *receiver* takes the replies.
The *sweep* gives up chunks without a reply.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from uuid import uuid4

from celery_app.client import spans
from celery_app.client.dispatch import deadlines
from celery_app.client.dispatch.in_flight import InFlightChunk
from celery_app.client.dispatch.key_quota import KeyQuota
from celery_app.client.dispatch.limits import DispatchLimits
from celery_app.client.dispatch.local_cache import LocalCache
from celery_app.client.dispatch.replies import ReplyReader
from celery_app.client.dispatch.version_queue import VersionQueue
from celery_app.client.dispatch.version_queues import VersionQueues
from celery_app.client.entry import Entry, JoinKey
from celery_app.client.message_counts import MessageCounts
from celery_app.client.redis.cache_lookup import CacheLookup
from celery_app.client.redis.model_registry import ModelRegistry
from celery_app.client.redis.publisher import Publisher
from celery_app.client.redis.queue_capacity import QueueCapacity
from celery_app.client.redis.result_store import ResultStore
from celery_app.client.run_forever import run_forever
from monitoring.instruments import request_ids, tracing
from monitoring.instruments.metrics import ApiMetrics
from tasks.errors import (
    BrokerUnavailable,
    BylineError,
    InternalError,
    NoAnswer,
    Overloaded,
)
from tasks.messages import Attribution, Failure, Outcome, Reply, suffices

#: Seconds between two checks for chunks without a reply.
SWEEP_S = 1.0


class Dispatcher:
    """Sends the messages of one process, and gives each message its outcome.

    Make and use this object in the thread of one event loop.
    """

    def __init__(
        self,
        publisher: Publisher,
        result_store: ResultStore,
        model_registry: ModelRegistry,
        queue_capacity: QueueCapacity,
        local_cache: LocalCache,
        limits: DispatchLimits,
        metrics: ApiMetrics,
    ) -> None:
        self._publisher = publisher
        self._model_registry = model_registry
        self._queue_capacity = queue_capacity
        self._local_cache = local_cache
        self._answer_s = limits.answer_s
        self._metrics = metrics
        self._counts = MessageCounts(metrics)
        self._room = KeyQuota(limits.capacity)
        #: The entries that later requests for the same message can share.
        self._joinable: dict[JoinKey, Entry] = {}
        #: Set when the pump has something to do.
        self._work = asyncio.Event()
        self._version_queues = VersionQueues(limits, model_registry, self._work)
        self._cache_lookup = CacheLookup(result_store, self._version_queues, self._work)
        self._replies = ReplyReader(metrics)
        self._running: list[asyncio.Task[None]] = []
        #: The event loop that the dispatcher runs in. :meth:`start` sets it.
        self.loop: asyncio.AbstractEventLoop

    def start(self) -> None:
        """Starts the dispatcher's three coroutines. They run until :meth:`stop`."""
        self.loop = asyncio.get_running_loop()  # stored: get_running_loop makes a system call
        self._metrics.credits.set(self._version_queues.credits)
        coroutines = (self._pump, self._take_reply, self._sweep)
        self._running = [asyncio.ensure_future(run_forever(each)) for each in coroutines]

    async def stop(self) -> None:
        """Stops the coroutines. Messages that have no outcome by then never get an outcome."""
        self._counts.flush()
        running = set(self._running)
        while running:
            for task in running:
                task.cancel()  # repeated: redis-py ignores a cancel while it connects
            _, running = await asyncio.wait(running, timeout=0.1)
        self._counts.flush()  # again: coroutines that end can count messages

    @property
    def unanswered(self) -> int:
        """The number of messages that have no outcome yet."""
        return self._room.messages

    @property
    def wait_s(self) -> float:
        """The expected seconds until a new message is answered, for the slowest model version."""
        return self._version_queues.wait_s

    def wait_for(self, version: str) -> float:
        """Returns the expected seconds until a new message for this model version is answered."""
        return self._version_queues.wait_for(version)

    def ask(self, entries: Sequence[Entry]) -> list[Entry]:
        """Accepts the messages of one request, and returns the entries to wait for.

        If an equal message is in progress already, the result has the entry of that message.

        Raises:
            Overloaded: too many messages wait. No message of ``entries`` was accepted.
        """
        size = sum([entry.size for entry in entries])
        if size and not self._room.has_room(entries[0].owner, size):
            self._counts.add("shed", len(entries))
            raise Overloaded(f"{self.unanswered:,} messages wait already")
        joined = [self._join(entry) for entry in entries]
        if tracing.tracer is not None:
            spans.note_messages(entries, joined)
        if self._cache_lookup:
            self._cache_lookup.wake_dispatcher()
        return joined

    def deadline_failure(self, entry: Entry) -> Failure:
        """Returns the failure of a message that missed its deadline."""
        idle = self._version_queues.of(entry.version).latency_model.idle
        return deadlines.deadline_failure(entry, idle)

    def hasten(self, entries: Iterable[Entry]) -> None:
        """Sends messages even if all credits (permits for chunks in flight) are taken.

        Call this when callers stop waiting for ``entries``, and will fetch the outcomes later.
        """
        for entry in entries:
            entry.urgent = True
        self._work.set()

    def _join(self, entry: Entry) -> Entry:
        known = self._local_cache.get(entry.id)
        if known is not None and suffices(known, entry.explain):
            entry.settle(known)
            self._counts.add("cached")
            return entry
        key = entry.join_key
        if key is not None:
            first = self._joinable.setdefault(key, entry)
            if first is not entry:
                self._counts.add("joined")
                return first
        self._room.take(entry)
        self._cache_lookup.add(entry)
        return entry

    def _settle(self, entry: Entry, outcome: Outcome) -> None:
        if isinstance(outcome, Attribution):
            self._local_cache.put(outcome)
        self._room.free(entry)
        key = entry.join_key
        if key is not None and self._joinable.get(key) is entry:
            del self._joinable[key]
        entry.settle(outcome)

    def _fail(self, entries: Iterable[Entry], error: BylineError) -> None:
        for entry in entries:
            self._counts.add_failure(error.code)
            self._settle(entry, Failure(entry.id, error.code, str(error)))

    async def _pump(self) -> None:
        await self._work.wait()
        self._work.clear()
        await self._look_up()
        for version_queue in self._version_queues.values():
            await self._send_from(version_queue)

    async def _sweep(self) -> None:
        """Waits a second, gives up chunks whose replies seem lost, and updates the metrics."""
        await asyncio.sleep(SWEEP_S)
        self._give_up()
        self._local_cache.shrink(self._model_registry.pressure() != "ok")
        self._counts.flush()
        self._metrics.dispatcher.set(self.unanswered)
        self._metrics.credits.set(self._version_queues.credits)
        self._metrics.credits_in_use.set(self._version_queues.credits_in_use)
        self._version_queues.drop_unused()
        self._work.set()  # a chunk may have freed its credit, or a deadline may have passed

    async def _look_up(self) -> None:
        """Gives each cached message its outcome, and refuses or queues each uncached message."""
        uncached = []
        for entry, known in await self._cache_lookup.look_up():
            if known is None:
                uncached.append(entry)
            else:
                self._settle(entry, known)
                self._counts.add("cached" if isinstance(known, Attribution) else "failed")
        if not uncached:
            return
        shortage = self._shortage()
        for entry in uncached:
            version_queue = self._version_queues.of(entry.version)
            if refusal := shortage or self._refusal(entry, version_queue):
                self._fail([entry], refusal)
            else:
                version_queue.add(entry)

    def _shortage(self) -> Overloaded | None:
        """Returns the error to refuse all uncached messages with; None if memory is not short."""
        if self._model_registry.pressure() == "critical":
            return Overloaded("memory is short: only messages in the cache are answered")
        try:
            self._queue_capacity.check()
        except Overloaded as error:
            return error
        return None

    def _refusal(self, entry: Entry, version_queue: VersionQueue) -> BylineError | None:
        """Returns the error of a message that must be refused; None for any other message."""
        if len(self._version_queues) > 1 and self._room.is_half_full_of(entry.version):
            # The other half of the room is for other versions: a hung canary must not block them.
            return Overloaded("too many messages wait already for this version")
        return version_queue.refusal(entry)

    async def _send_from(self, version_queue: VersionQueue) -> None:
        for entry in version_queue.drop_late():
            failure = self.deadline_failure(entry)
            self._counts.add_failure(failure.code)
            self._settle(entry, failure)
        while entries := version_queue.next_chunk():
            await self._dispatch(version_queue, entries)

    async def _dispatch(self, version_queue: VersionQueue, entries: list[Entry]) -> None:
        """Sends messages as one chunk. If the sending fails, the messages fail."""
        chunk_id = str(uuid4())
        version_queue.in_flight.add(chunk_id, entries)
        self._metrics.chunk_messages.observe(len(entries))
        try:
            await self._publisher.send(chunk_id, entries)
        except (BrokerUnavailable, Overloaded) as error:
            if version_queue.in_flight.pop(chunk_id):
                self._fail(entries, error)
            return
        except Exception as error:  # a defect; the callers must still get an answer
            if version_queue.in_flight.pop(chunk_id):
                self._fail(entries, InternalError("the message could not be sent"))
            with request_ids.about([entry.request_id for entry in entries]):
                error.add_note(f"a chunk could not be sent{request_ids.words()}")
            raise
        for entry in entries:
            entry.sent.set()

    def _give_up(self) -> None:
        """Fails the messages of chunks whose replies seem lost, to make room for other messages.

        If a worker computes these messages later, the worker stores the outcomes in the cache.
        """
        for version_queue in self._version_queues.values():
            for entries in version_queue.in_flight.given_up():
                self._fail(entries, NoAnswer(f"no worker answered within {self._answer_s:g} s"))

    async def _take_reply(self) -> None:
        raw = await self._publisher.receive()
        reply = None if raw is None else self._replies.read(raw)
        if reply is None:
            return
        self._queue_capacity.free(reply.chunk)
        version_queue = self._version_queues.with_chunk(reply.chunk)
        chunk = None if version_queue is None else version_queue.in_flight.pop(reply.chunk)
        if version_queue is None or chunk is None:
            return  # the reply came too late: the chunk was given up
        self._settle_all(version_queue, chunk, reply)
        if version_queue.waits or self._cache_lookup:
            self._work.set()

    def _settle_all(self, version_queue: VersionQueue, chunk: InFlightChunk, reply: Reply) -> None:
        """Gives each message of a chunk its outcome from the reply."""
        answered = any(isinstance(outcome, Attribution) for outcome in reply.outcomes)
        alone = answered and len(chunk.entries) == 1
        version_queue.latency_model.came_back(chunk.work, chunk.sent_at, alone)
        idle = version_queue.latency_model.idle
        for entry, outcome in self._replies.outcomes(chunk, reply):
            if isinstance(outcome, InternalError):
                self._fail([entry], outcome)
            else:
                self._settle(entry, deadlines.for_caller(entry, outcome, idle))
