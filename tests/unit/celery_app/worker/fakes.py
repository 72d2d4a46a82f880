"""Fakes of a worker's model thread, of its task and of its requests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from celery_app.worker import batch_runner
from celery_app.worker.batcher import Batcher
from celery_app.worker.celery_tracer import Traced
from tasks.batch.in_flight import InFlightBatch
from tasks.batch.progress import Progress
from tasks.cooldown import Cooldown
from tasks.messages import Chunk, Failure, Outcome
from tasks.work import work


class FakeRequest:
    """A request as the batcher uses it. The request records how it ended."""

    def __init__(
        self,
        messages: int = 1,
        revoked: bool = False,
        orphaned: bool = False,
        reply_to: str | None = "list",
        text: str = "x",
        explain: bool = False,
        low_priority: bool = False,
        request_ids: Sequence[str] = (),
    ) -> None:
        self.request_ids = request_ids
        self.low_priority = low_priority
        self.messages = messages
        self.work = messages * work(text, explain)
        self.orphaned = orphaned
        self.id = f"task {id(self)}"
        self.hostname = "byline@fake"
        self.request_dict: dict[str, Any] = {}
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
        #: Number of messages that were in a finished batch.
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
    """A task that records its batches. If ``error`` is set, the next batch raises it."""

    def __init__(self) -> None:
        self.reasons: list[str] = []
        self.freed = 0
        self.batches: list[int] = []
        self.alone: list[int] = []
        self.order: list[str] = []
        self.error: Exception | None = None
        self.device_error: Exception | None = None
        self.failed: list[Any] = []
        self.store_error: Exception | None = None
        self.requests: list[FakeRequest] = []
        self.has_separate_cache = False
        self.cache_cooldown = Cooldown(10.0)
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
        self, progress: Progress, limit: int, heartbeat: Callable[[], None]
    ) -> InFlightBatch:
        heartbeat()
        part = progress.part(limit)
        self.alone.append(len(part.texts))
        return self.begin([part], progress)

    def finish(self, batch: InFlightBatch, pipe: Any) -> list[list[Outcome]]:
        self.order.append(f"finish {batch.launched}")
        if self.device_error:
            error, self.device_error = self.device_error, None
            raise error
        for chunk in batch.chunks:
            outcomes: list[Outcome] = [Failure("", "", "")] * len(chunk.texts)
            if batch.progress is not None:
                batch.progress.outcomes += outcomes
            for request in self.requests:
                if request.id == chunk.id:
                    request.computed += len(outcomes)
        return []

    def reply(self, batch: InFlightBatch, outcomes: Any) -> None:
        self.replied += 1

    def count_batch(self, reason: str) -> None:
        self.reasons.append(reason)

    def free_memory(self) -> None:
        self.freed += 1

    def fail_all(self, chunks: Sequence[Any], error: Exception) -> None:
        self.failed += chunks


class Worker:
    """A batcher whose model thread runs only when the test steps it.

    This object is also the batcher's executor and device.
    """

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, limit: int = 8, longest_retry_s: float = 0.016
    ) -> None:
        def traced(task: Any, request: Any) -> Traced:
            return Traced(request, False, "done")

        monkeypatch.setattr(batch_runner, "trace", traced)
        monkeypatch.setattr(batch_runner, "FIRST_RETRY_S", 0.001)
        monkeypatch.setattr(batch_runner, "LONGEST_RETRY_S", longest_retry_s)
        self.task = FakeTask()
        self.submitted: list[Callable[[], None]] = []
        #: The error that the submission of the next batch raises; None for no error.
        self.submit_error: Exception | None = None
        self.overlaps = False
        task: Any = self.task
        self.batcher = Batcher(task, self, self, limit, 0.0, 1.0)
        self.runner = self.batcher.runner

    def submit(self, target: Callable[[], None]) -> None:
        if self.submit_error:
            error, self.submit_error = self.submit_error, None
            raise error
        self.submitted.append(target)

    def add(self, *requests: FakeRequest) -> None:
        self.task.requests += requests
        for request in requests:
            fake: Any = request
            self.batcher.add(fake)

    def step(self) -> None:
        """Runs the next job of the model thread."""
        self.submitted.pop(0)()

    def run_all(self) -> None:
        """Runs all jobs of the model thread."""
        while self.submitted:
            self.step()
