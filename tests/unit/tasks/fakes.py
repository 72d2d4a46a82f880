"""Fakes of the model and of Redis around a batch processor, and helpers of its tests."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from prometheus_client import CollectorRegistry
from redis import ConnectionError as RedisConnectionError

from model.types import Candidate, Evidence, ModelError, Prediction
from monitoring.instruments.metrics import WorkerMetrics
from tasks.batch.progress import Progress
from tasks.batch_processor import BatchProcessor
from tasks.feedback.waiting_texts import WaitingTexts
from tasks.messages import Attribution, Chunk, Outcome
from tasks.storage.dead_letters import DeadLetters
from tasks.storage.lua_scripts import own_script
from tasks.storage.pending_results import PROMISED, PendingResults
from tasks.storage.reply_queue import ReplyQueue
from tasks.storage.result_cache import AttributionCache


class Predictor:
    """A model that attributes a text to its first letter. It records its batches."""

    version = "v1"

    def __init__(self) -> None:
        self.batches: list[list[str]] = []

    def launch(self, texts: Sequence[str]) -> Sequence[str]:
        self.batches.append(list(texts))
        return texts

    def collect(self, texts: Sequence[str]) -> list[Prediction]:
        if any("bad" in text for text in texts):
            raise ModelError("the model raised ValueError")
        return [Prediction(t[0], 0.9, (Candidate(t[0], 0.9),)) for t in texts]

    def explain(self, text: str, author: str) -> Evidence | None:
        return Evidence(author, 1.0, 1.0, (), 0.0)


class Store:
    """A fake of Redis that keeps its data in dicts. It is both a client and a pipeline."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}
        self.lists: dict[str, list[bytes]] = {}
        self.hashes: dict[str, dict[str, bytes]] = {}
        self.counts: dict[str, int] = {}
        self.counted = ""
        self.down = False

    def mget(self, keys: list[str]) -> list[bytes | None]:
        if self.down:
            raise RedisConnectionError("down")
        return [self.values.get(key) for key in keys]

    def set(self, key: str, value: bytes | str, ex: int) -> None:
        self.values[key] = value.encode() if isinstance(value, str) else value

    def delete(self, key: str) -> None:
        self.values.pop(key, None)
        self.counts.pop(key, None)

    def pipeline(self) -> Store:
        return self

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def execute(self) -> list[int]:
        return [self.counts.get(self.counted, 0), 1]

    def incr(self, key: str) -> Store:
        self.counts[key] = self.counts.get(key, 0) + 1
        self.counted = key
        return self

    def expire(self, key: str, seconds: int) -> Store:
        return self

    def hset(self, key: str, field: str, value: bytes) -> None:
        self.hashes.setdefault(key, {})[field] = value

    def execute_command(self, command: str, key: str, *args: Any, then: Any = None) -> None:
        if command == "MGET":
            then([self.values.get(each) for each in (key, *args)])
        elif (command, key) == ("EVAL", own_script("keep_outcomes", "pending_values")):
            pairs = dict(zip(args[2::2], args[3::2], strict=True))
            promised = {PROMISED + id: value for id, value in pairs.items()}
            self.values.update({k: v for k, v in promised.items() if k in self.values})
        elif command == "EVAL":  # the script put_results
            number, *rest = args
            self.values.update(zip(rest[:number], rest[number + 1 :], strict=True))
        elif command == "LPUSH":
            self.lists.setdefault(key, []).insert(0, args[0])


class Processor:
    """A batch processor with fakes around it, and a clock that stands still."""

    def __init__(self, waiting_texts: WaitingTexts | None = None) -> None:
        self.predictor = Predictor()
        self.store = Store()
        client: Any = self.store
        cache = AttributionCache(client, 60)
        self.registry = CollectorRegistry()
        metrics = WorkerMetrics(self.registry)
        letters = DeadLetters(client)
        self.batch_processor = BatchProcessor(
            self.predictor,
            cache,
            letters,
            ReplyQueue(client, apart=False),
            metrics,
            100,
            waiting_texts,
            now=lambda: 1000.0,
        )

    def run(self, *chunks: Chunk) -> list[list[Any]]:
        """Computes the chunks as one batch. Returns their outcomes."""
        pipe: Any = self.store
        batch = self.batch_processor.begin(chunks)
        outcomes = self.batch_processor.finish(batch, pipe)
        self.batch_processor.record(batch)
        return outcomes


def make_chunk(*texts: Any, explain: bool = False, **options: Any) -> Chunk:
    deadlines = options.pop("deadlines", [None] * len(texts))
    version, to = options.pop("version", None), options.pop("to", None)
    ids = options.pop("request_ids", [])
    own = (options.pop("id", "c"), list(texts), deadlines, explain, version, to)
    return Chunk(*own, request_ids=ids)


def authors(outcomes: Sequence[Any]) -> list[str | None]:
    return [o.author if isinstance(o, Attribution) else o.code for o in outcomes]


def find(processor: Processor, id: str) -> Outcome | None:
    """Returns the outcome that the api finds under an id; None while the result is pending."""

    async def call(command: str, *keys: Any) -> Any:
        assert command == "MGET"
        return processor.store.mget(list(keys))

    return asyncio.run(PendingResults(call, call, 60, lambda: 1, list).find(id))


def run_alone(processor: Processor, chunk: Chunk) -> list[Any]:
    """Tries the messages of a chunk one at a time. Returns their outcomes."""
    pipe: Any = processor.store
    batch = processor.batch_processor.begin_alone(Progress(chunk), 8, lambda: None)
    [outcomes] = processor.batch_processor.finish(batch, pipe)
    return outcomes


def run_passes(
    processor: Processor, progress: Progress, alone: bool = False, messages: int = 2
) -> list[list[Any]]:
    """Computes a chunk in passes of ``messages`` messages. Returns each pass's answered chunks."""
    pipe: Any = processor.store
    answered = []
    while not progress.complete:
        batch = (
            processor.batch_processor.begin_alone(progress, messages, lambda: None)
            if alone
            else processor.batch_processor.begin_part(progress, messages)
        )
        answered.append(processor.batch_processor.finish(batch, pipe))
        processor.batch_processor.record(batch)
    return answered
