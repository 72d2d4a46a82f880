"""A dispatcher with a fake broker, a fake cache and a fake model registry, for tests."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry
from redis import ConnectionError as RedisConnectionError

from celery_app.client.dispatch.limits import DispatchLimits
from celery_app.client.dispatch.local_cache import LocalCache
from celery_app.client.dispatcher import Dispatcher
from celery_app.client.entry import Entry
from celery_app.client.redis.queue_capacity import QueueCapacity
from monitoring.instruments.metrics import ApiMetrics
from monitoring.state.machine_memory import Level
from tasks.errors import BrokerUnavailable, NoModel, UnknownModel
from tasks.messages import Attribution, Outcome, Reply

#: Turns of the event loop after which all callbacks have run.
TURNS = 20


async def idle() -> None:
    """Lets the event loop run until all callbacks have run."""
    for _ in range(TURNS):
        await asyncio.sleep(0)


class FakeResultStore:
    """Stands in for the result cache: ``known`` has the cached outcomes, by message id."""

    def __init__(self) -> None:
        self.known: dict[str, Outcome] = {}
        self.lookups: list[list[str]] = []
        self.down = False
        self.nonsense = False

    async def look_up(self, ids: Sequence[str]) -> dict[str, Outcome]:
        if self.down:
            raise RedisConnectionError("down")
        if self.nonsense:
            raise msgspec.DecodeError("nonsense")
        self.lookups.append(list(ids))
        return {id: self.known[id] for id in ids if id in self.known}


class FakePublisher:
    """Takes chunks, and replies to a chunk when a test calls :meth:`answer`."""

    def __init__(self) -> None:
        self.chunks: dict[str, list[Entry]] = {}
        self.replies: asyncio.Queue[bytes] = asyncio.Queue()
        self.down = False

    async def send(self, chunk_id: str, entries: Sequence[Entry]) -> None:
        if self.down:
            raise BrokerUnavailable("down")
        self.chunks[chunk_id] = list(entries)

    async def receive(self) -> bytes:
        return await self.replies.get()

    def sizes(self) -> list[int]:
        """Returns how many messages each chunk has."""
        return [len(entries) for entries in self.chunks.values()]

    def answer(self, chunk_id: str) -> None:
        """Replies to a chunk with an attribution for each of its messages."""
        outcomes: list[Any] = [attribution(e.id) for e in self.chunks[chunk_id]]
        self.replies.put_nowait(msgspec.json.encode(Reply(chunk_id, outcomes)))


class FakeModelRegistry:
    """Reports ``worker_count`` workers for each version, and ``level`` as the memory pressure."""

    def __init__(self, workers: int = 1) -> None:
        self.worker_count = workers
        self.level: Level = "ok"
        self.reachable = True
        self.started = self.stopped = False

    def start(self) -> None:
        self.started = True

    def stop(self) -> None:
        self.stopped = True

    def workers(self) -> int | None:
        return self.worker_count if self.reachable else None

    def workers_of(self, version: str) -> int:
        return self.worker_count

    def version_for(self, text: str) -> str:
        if not (self.reachable and self.worker_count):
            raise NoModel("no worker has announced a model yet")
        return "v1"

    def check(self, version: str) -> None:
        if version != "v1":
            raise UnknownModel("no worker serves it; served: v1")

    def pressure(self) -> Level:
        return self.level


class Desk:
    """A dispatcher with a fake broker, a fake cache and a fake model registry."""

    def __init__(self, workers: int = 1, **limits: float | None) -> None:
        self.cache = FakeResultStore()
        self.broker = FakePublisher()
        self.model_registry = FakeModelRegistry(workers)
        self.queue_capacity = QueueCapacity(100)
        self.registry = CollectorRegistry()
        fakes: list[Any] = [self.broker, self.cache, self.model_registry]
        defaults = DispatchLimits(2, 1, 1, chunk_work=4, capacity=100, answer_s=60.0)
        self.dispatcher = Dispatcher(
            *fakes,
            self.queue_capacity,
            LocalCache(8),
            defaults._replace(**limits),
            ApiMetrics(self.registry),
        )

    async def __aenter__(self) -> Desk:
        self.dispatcher.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.dispatcher.stop()

    async def ask(self, *ids: str, **options: Any) -> list[Entry]:
        """Asks for messages, and lets the event loop run. The text of a message is its id."""
        entries = self.dispatcher.ask([Entry(id, id, "v1", **options) for id in ids])
        await idle()
        return entries

    async def answer(self, place: int = 0) -> None:
        """Answers chunk number ``place``, in sending order from 0, and lets the event loop run."""
        self.broker.answer(list(self.broker.chunks)[place])
        await idle()


def attribution(id: str) -> Attribution:
    return Attribution(id, "a", 0.9, (), "v1")
