"""A worker's thread, its task and its requests, as fakes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from celery_app.worker import batcher
from celery_app.worker.batcher import Batcher
from celery_app.worker.tracing import Traced
from tasks.batch import InFlightBatch
from tasks.cooldown import Cooldown
from tasks.messages import Chunk, Failure, Outcome
from tasks.progress import Progress
from tasks.work import work


class FakeRequest:
    """As much of a request as the batcher touches; notes how it ended."""

    def __init__(
        self,
        messages: int = 1,
        revoked: bool = False,
        orphaned: bool = False,
        reply_to: str | None = "list",
        text: str = "x",
        explain: bool = False,
        behind: bool = False,
        request_ids: Sequence[str] = (),
    ) -> None:
        self.request_ids = request_ids
        self.behind = behind
        self.messages = messages
        self.work = messages * work(text, explain)
        self.orphaned = orphaned
        self.id = f"task {id(self)}"
        self.chunk = Chunk(
            id=self.id,
            texts=[text] * messages,
            deadlines=[None] * messages,
            explain=explain,
            version=None,
            reply_to=reply_to,
        )
        self.ended = "revoked" if revoked else ""
        self._revoked = revoked
        self.stored = self.may_be_unstored = False
        #: How many of the messages were in a batch that was finished.
        self.computed = 0

    @property
    def wants_result(self) -> bool:
        return self.chunk.reply_to is None

    @property
    def acknowledged(self) -> bool:
        return self.ended == "revoked"

    def revoke(self) -> None:
        self._revoked = True

    def revoked(self) -> bool:
        if self._revoked:
            self.ended = "revoked"
        return self._revoked

    def on_accepted(self, pid: int, at: float) -> None:
        self.ended = "accepted"

    def on_success(self, outcome: tuple[bool, Any, float]) -> None:
        assert self.stored or self.may_be_unstored, "acknowledged before it was stored"
        assert self.computed == self.messages, "acknowledged before it was computed"
        self.ended = "failed" if outcome[0] else "succeeded"

    def on_failure(self, info: Any) -> None:
        self.ended = "failed"

    def reject(self, requeue: bool) -> None:
        raise AssertionError("give_back forgets the request, too")

    def give_back(self) -> None:
        self.ended = "given back"


class Pipe:
    kept = True

    def reset(self) -> None:
        self.kept = False


class FakeTask:
    """Notes the batches; raises ``error`` on the next one."""

    def __init__(self) -> None:
        self.reasons: list[str] = []
        self.rested = 0
        self.batches: list[int] = []
        self.alone: list[int] = []
        self.order: list[str] = []
        self.error: Exception | None = None
        self.device_error: Exception | None = None
        self.failed: list[Any] = []
        self.store_error: Exception | None = None
        self.requests: list[FakeRequest] = []
        self.answers_apart = False
        self.cache_gone = Cooldown(10.0)
        self.replied = 0
        self.backend = SimpleNamespace(round_trip=self._round_trip)

    @contextmanager
    def _round_trip(self) -> Any:
        pipe = Pipe()
        yield pipe
        if pipe.kept and self.store_error:
            raise self.store_error
        for request in self.requests:
            request.stored = True

    def begin(self, chunks: Sequence[Chunk], progress: Progress | None = None) -> InFlightBatch:
        if self.error:
            error, self.error = self.error, None
            raise error
        self.batches.append(sum(len(chunk.texts) for chunk in chunks))
        number = len(self.batches)
        self.order.append(f"begin {number}")
        return InFlightBatch(chunks, [], {}, [], number, 0.0, progress=progress)

    def begin_part(self, progress: Progress, limit: int) -> InFlightBatch:
        return self.begin([progress.part(limit)], progress)

    def begin_alone(
        self, progress: Progress, limit: int, alive: Callable[[], None]
    ) -> InFlightBatch:
        alive()
        part = progress.part(limit)
        self.alone.append(len(part.texts))
        return self.begin([part], progress)

    def finish(self, in_flight: InFlightBatch, pipe: Any) -> list[list[Outcome]]:
        self.order.append(f"finish {in_flight.launched}")
        if self.device_error:
            error, self.device_error = self.device_error, None
            raise error
        for chunk in in_flight.chunks:
            outcomes: list[Outcome] = [Failure("", "", "")] * len(chunk.texts)
            if in_flight.progress is not None:
                in_flight.progress.outcomes += outcomes
            for request in self.requests:
                if request.id == chunk.id:
                    request.computed += len(outcomes)
        return []

    def reply(self, in_flight: InFlightBatch, outcomes: Any) -> None:
        self.replied += 1

    def count_batch(self, reason: str) -> None:
        self.reasons.append(reason)

    def rest(self) -> None:
        self.rested += 1

    def fail_all(self, chunks: Sequence[Any], error: Exception) -> None:
        self.failed += chunks


class Worker:
    """A batcher whose model thread is stepped by the test."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, limit: int = 8) -> None:
        monkeypatch.setattr(batcher, "trace", lambda task, request: Traced(request, False, "done"))
        monkeypatch.setattr(batcher, "FIRST_RETRY_S", 0.001)
        monkeypatch.setattr(batcher, "LONGEST_RETRY_S", 0.016)
        self.task = FakeTask()
        self.submitted: list[Callable[[], None]] = []
        task: Any = self.task
        self.overlaps = False
        self.batcher = Batcher(task, self.submitted.append, limit, 0.0, 1.0, lambda: self.overlaps)

    def add(self, *requests: FakeRequest) -> None:
        self.task.requests += requests
        for request in requests:
            taken: Any = request
            self.batcher.add(taken)

    def step(self) -> None:
        self.submitted.pop(0)()
