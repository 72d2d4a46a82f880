"""An dispatcher with fakes at both ends."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry
from redis import ConnectionError as RedisConnectionError

from celery_app.client.dispatch.local_cache import LocalCache
from celery_app.client.dispatcher import Dispatcher
from celery_app.client.entry import Entry
from celery_app.client.redis.queue_capacity import QueueCapacity
from monitoring.instruments.metrics import ApiMetrics
from monitoring.state.pressure import Level
from tasks.errors import BrokerUnavailable
from tasks.messages import Attribution, Outcome, Reply

#: Turns of the loop after which everything that could happen has happened.
TURNS = 20


async def idle() -> None:
    for _ in range(TURNS):
        await asyncio.sleep(0)


class Cache:
    """What is cached, by id."""

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


class Broker:
    """Takes chunks, and answers them when told to."""

    def __init__(self) -> None:
        self.chunks: dict[str, list[Entry]] = {}
        self.replies: asyncio.Queue[bytes] = asyncio.Queue()
        self.down = False

    async def send(self, chunk: str, entries: Sequence[Entry]) -> None:
        if self.down:
            raise BrokerUnavailable("down")
        self.chunks[chunk] = list(entries)

    async def receive(self) -> bytes:
        return await self.replies.get()

    def sizes(self) -> list[int]:
        return [len(entries) for entries in self.chunks.values()]

    def answer(self, chunk: str) -> None:
        outcomes: list[Any] = [attribution(e.id) for e in self.chunks[chunk]]
        self.replies.put_nowait(msgspec.json.encode(Reply(chunk, outcomes)))


class Desk:
    """An dispatcher with fakes at both ends."""

    def __init__(self, **options: Any) -> None:
        self.cache, self.broker = Cache(), Broker()
        self.registry = CollectorRegistry()
        self.pressure: Level = "ok"
        self.room = QueueCapacity(100)
        defaults = {
            "credits": 2,
            "chunk_work": 4,
            "capacity": 100,
            "answer_s": 60.0,
            "local_cache": LocalCache(8),
            "workers": lambda version: 1,
            "pressure": lambda: self.pressure,
            "queue_capacity": self.room,
            "metrics": ApiMetrics(self.registry),
        }
        ends = (self.broker.send, self.broker.receive, self.cache.look_up)
        self.dispatcher = Dispatcher(*ends, **defaults | options)

    async def __aenter__(self) -> Desk:
        self.dispatcher.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.dispatcher.stop()

    async def ask(self, *ids: str, **options: Any) -> list[Entry]:
        entries = self.dispatcher.ask([Entry(id, id, "v1", **options) for id in ids])
        await idle()
        return entries

    async def answer(self, place: int = 0) -> None:
        self.broker.answer(list(self.broker.chunks)[place])
        await idle()


def attribution(id: str) -> Attribution:
    return Attribution(id, "a", 0.9, (), "v1")
