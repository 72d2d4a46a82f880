"""The Celery task ``byline.attribute``, and the request that carries a chunk to it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from celery import Task
from redis.client import Pipeline

from monitoring.instruments.request_ids import about
from tasks.batch import InFlightBatch, kept_failures
from tasks.batch_processor import BatchProcessor
from tasks.chunk_arguments import carried_ids, parse_chunk
from tasks.chunk_request import ChunkRequest
from tasks.cooldown import Cooldown
from tasks.errors import BylineError, InvalidMessage, Revoked
from tasks.messages import TASK, Chunk, Outcome
from tasks.progress import Progress
from tasks.results import Attributions

logger = logging.getLogger(__name__)


class AttributeTask(Task):
    """Attributes the messages of a chunk. Any Celery client may send it, by name."""

    name = TASK
    Request = ChunkRequest
    throws = (InvalidMessage,)  # the client's fault, and no matter for a traceback
    acks_late = True  # a task is acknowledged once its results are stored, not before

    def __init__(self, batch_processor: BatchProcessor, batch_messages: int) -> None:
        """``batch_messages`` is the largest batch, in messages' worth."""
        self._batch_processor = batch_processor
        self._batch_messages = batch_messages
        self._outcomes: dict[str, list[Outcome]] = {}

    def start_strategy(self, app: Any, consumer: Any, **kwargs: Any) -> Callable[..., Any]:
        """Returns what Celery's consumer gives tasks to. What it logs names their requests."""
        receive = super().start_strategy(app, consumer, **kwargs)

        def receive_naming(message: Any, *args: Any, **kwargs: Any) -> Any:
            with about(carried_ids(message.headers)):
                return receive(message, *args, **kwargs)

        return receive_naming

    def begin(self, chunks: Sequence[Chunk]) -> InFlightBatch:
        """Have the model begin with ``chunks``, as one batch."""
        return self._batch_processor.begin(chunks)

    def begin_part(self, progress: Progress, work: int) -> InFlightBatch:
        """Have the model begin with so much of the work that a chunk still needs."""
        return self._batch_processor.begin_part(progress, work)

    def begin_alone(
        self, progress: Progress, work: int, alive: Callable[[], None]
    ) -> InFlightBatch:
        """Have the model see a chunk's next messages one at a time, and store each at once."""
        return self._batch_processor.begin_alone(progress, work, alive)

    @property
    def answers_apart(self) -> bool:
        """Whether who waits can be answered though nothing can be stored."""
        return self._batch_processor.replies.apart

    @property
    def cache_gone(self) -> Cooldown:
        """Whether the cache is left alone at present, as it can't be reached."""
        return self._batch_processor.cache_gone

    def finish(self, in_flight: InFlightBatch, pipe: Pipeline) -> list[list[Outcome]]:
        """Wait for the batch's answers, and return those of the chunks that now have all.

        :meth:`run` then finds them ready.
        """
        outcomes = self._batch_processor.finish(in_flight, pipe)
        self._outcomes = {
            c.id: found for c, found in zip(in_flight.answered, outcomes, strict=True)
        }
        return outcomes

    def take(self, id: str) -> list[Outcome] | None:
        """Return what :meth:`finish` found for a task, once; None where it was in no batch."""
        return self._outcomes.pop(id, None)

    def reply(self, in_flight: InFlightBatch, outcomes: Sequence[list[Outcome]]) -> None:
        """Tell those who wait or were promised an answer, unless it was done with the storing.

        Raises ``RedisError``.
        """
        self._batch_processor.replies.send(in_flight.answered, outcomes, in_flight.kept)
        self._batch_processor.record(in_flight)

    def count_batch(self, reason: str) -> None:
        """Note why a batch is no larger than it is."""
        self._batch_processor.metrics.batches.labels(reason).inc()

    def rest(self) -> None:
        """Do, between two batches, what frees memory. Called by the model's thread."""
        self._batch_processor.rest()

    def fail_all(self, chunks: Sequence[Chunk], error: BylineError) -> None:
        """Tell those who wait for ``chunks`` that ``error`` is all they will get.

        Raises:
            redis.RedisError: it can't be stored for those who ask later.
        """
        awaited = [chunk for chunk in chunks if chunk.reply_to is not None]
        with self.backend.round_trip() as pipe:
            failures = self._batch_processor.fail(awaited, pipe, error)
        self._batch_processor.replies.send(awaited, failures, kept_failures(failures))

    def on_revoked(self, request: Any, **_: Any) -> None:
        """Tell who waits for a task that was revoked or expired. Receives ``task_revoked``."""
        try:
            chunk = parse_chunk(request.id, request.reply_to, request.args, request.kwargs)
        except InvalidMessage:
            return  # only an api process awaits a reply, and it sends what can be parsed
        self.fail_all([chunk], Revoked("the task was revoked or expired"))

    def run(self, *args: Any, **kwargs: Any) -> Attributions:
        """Attribute ``messages``, a list of texts.

        Optional are ``deadlines``, a list of Unix times or nulls; ``explain``; ``version``, the
        model version for which the client has told somebody an id; and ``exact``, whether another
        version's answer is none. ``promised`` is what earlier clients send; nothing depends on it.

        Returns:
            One attribution for each message, in order; ``{"id", "error": {"code", "detail"}}``
            in the place of a message that has none.

        Raises:
            InvalidMessage: the arguments are not these.
        """
        outcomes = self.take(self.request.id)
        if outcomes is None:  # called directly, not by a worker
            progress = Progress(parse_chunk(self.request.id or "direct", None, args, kwargs))
            while not progress.complete:
                with self.backend.round_trip() as pipe:
                    self._batch_processor.finish(
                        self.begin_part(progress, self._batch_messages), pipe
                    )
            outcomes = progress.outcomes
        return Attributions(outcomes)
