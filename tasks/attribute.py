"""The Celery task ``byline.attribute``, which attributes messages to authors."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from celery import Task
from redis.client import Pipeline

from monitoring.instruments.request_ids import about
from tasks.batch.in_flight import InFlightBatch, failures_by_id
from tasks.batch.progress import Progress
from tasks.batch_processor import BatchProcessor
from tasks.chunk_arguments import carried_ids, parse_chunk
from tasks.chunk_request import ChunkRequest
from tasks.cooldown import Cooldown
from tasks.errors import BylineError, InvalidMessage, Revoked
from tasks.messages import TASK, Chunk, Outcome
from tasks.results import Attributions

logger = logging.getLogger(__name__)


class AttributeTask(Task):
    """The Celery task that attributes a chunk: the messages in the body of a task.

    In a worker, the batcher computes the outcomes before Celery calls :meth:`run`. If a caller
    calls the task directly, :meth:`run` computes the outcomes.
    """

    name = TASK  # any Celery client may send the task by this name
    Request = ChunkRequest
    throws = (InvalidMessage,)  # the client's fault: Celery logs no traceback
    acks_late = True  # a task is acknowledged after its results are stored

    def __init__(self, batch_processor: BatchProcessor, max_work: int) -> None:
        """``max_work`` limits the work of a batch, in units of one short message."""
        self._batch_processor = batch_processor
        self._max_work = max_work
        #: Outcomes that the last batch computed, by task id.
        self._outcomes: dict[str, list[Outcome]] = {}

    def start_strategy(self, app: Any, consumer: Any, **kwargs: Any) -> Callable[..., Any]:
        """Returns the function with which Celery receives a task.

        The returned function puts the ids of the messages' HTTP requests into its log lines.
        """
        receive = super().start_strategy(app, consumer, **kwargs)

        def receive_naming_requests(message: Any, *args: Any, **kwargs: Any) -> Any:
            with about(carried_ids(message.headers)):
                return receive(message, *args, **kwargs)

        return receive_naming_requests

    def begin(self, chunks: Sequence[Chunk]) -> InFlightBatch:
        """Starts the model on ``chunks`` as one batch. :meth:`finish` returns the outcomes."""
        return self._batch_processor.begin(chunks)

    def begin_part(self, progress: Progress, work: int) -> InFlightBatch:
        """Starts a batch with the first messages of a chunk that have no outcome yet.

        ``work`` limits the work of this batch, in units of one short message.
        """
        return self._batch_processor.begin_part(progress, work)

    def begin_alone(
        self, progress: Progress, work: int, heartbeat: Callable[[], None]
    ) -> InFlightBatch:
        """Computes the next messages of a chunk one by one, and stores each outcome immediately.

        ``work`` limits the work of these messages, in units of one short message. Calls
        ``heartbeat()`` before each message.
        """
        return self._batch_processor.begin_alone(progress, work, heartbeat)

    @property
    def has_separate_cache(self) -> bool:
        """Whether cache and broker are two servers. If so, replies don't need the cache."""
        return self._batch_processor.replies.apart

    @property
    def cache_cooldown(self) -> Cooldown:
        """The cooldown of the cache: for some seconds after a failure, no batch asks the cache."""
        return self._batch_processor.cache_cooldown

    def finish(self, batch: InFlightBatch, pipe: Pipeline) -> list[list[Outcome]]:
        """Waits for the model. Returns a list of outcomes for each chunk in ``batch.answered``.

        Queues on ``pipe`` the commands that store results. Also keeps the outcomes in memory, so
        that :meth:`run` can return them later.
        """
        outcomes = self._batch_processor.finish(batch, pipe)
        self._outcomes = {c.id: found for c, found in zip(batch.answered, outcomes, strict=True)}
        return outcomes

    def take(self, id: str) -> list[Outcome] | None:
        """Removes and returns the outcomes of a task; None if no batch has computed the task."""
        return self._outcomes.pop(id, None)

    def reply(self, batch: InFlightBatch, outcomes: Sequence[list[Outcome]]) -> None:
        """Updates the metrics, and sends the batch's replies if they are not sent yet.

        If cache and broker are one server, the replies were sent together with the results. Raises
        ``RedisError``.
        """
        self._batch_processor.replies.send(batch.answered, outcomes, batch.promised_outcomes)
        self._batch_processor.record(batch)

    def count_batch(self, reason: str) -> None:
        """Counts a batch in the metrics. ``reason`` says why no more messages joined the batch."""
        self._batch_processor.metrics.batches.labels(reason).inc()

    def free_memory(self) -> None:
        """Frees device memory between two batches; called by the model's thread."""
        self._batch_processor.free_memory()

    def fail_all(self, chunks: Sequence[Chunk], error: BylineError) -> None:
        """Fails all messages of those ``chunks`` for whose reply a client waits.

        Sends ``error`` as the reply, and stores the failures for clients that ask later. A chunk
        whose client wants only Celery's result is left out.

        Raises:
            redis.RedisError: the failures can't be stored or sent.
        """
        awaited = [chunk for chunk in chunks if chunk.reply_to is not None]
        with self.backend.round_trip() as pipe:
            failures = self._batch_processor.fail(awaited, pipe, error)
        self._batch_processor.replies.send(awaited, failures, failures_by_id(failures))

    def on_revoked(self, request: Any, **_: Any) -> None:
        """Fails the messages of a task that was revoked or has expired.

        This is the receiver of Celery's signal ``task_revoked``.
        """
        try:
            chunk = parse_chunk(request.id, request.reply_to, request.args, request.kwargs)
        except InvalidMessage:
            return  # only api processes wait for replies, and their tasks can be parsed
        self.fail_all([chunk], Revoked("the task was revoked or expired"))

    def run(self, *args: Any, **kwargs: Any) -> Attributions:
        """Attributes ``messages``, a list of texts. All other arguments are optional.

        ``deadlines`` is a list of Unix times or nulls. ``explain`` asks for evidence. ``version``
        is the model version with which the client computed the message ids. If ``exact`` is true,
        only that version may answer.

        Returns:
            For each message, in order, an attribution or ``{"id", "error": {"code", "detail"}}``.

        Raises:
            InvalidMessage: the arguments are wrong.
        """
        outcomes = self.take(self.request.id)
        if outcomes is None:  # called directly, not by a worker
            progress = Progress(parse_chunk(self.request.id or "direct", None, args, kwargs))
            while not progress.complete:
                with self.backend.round_trip() as pipe:
                    self._batch_processor.finish(self.begin_part(progress, self._max_work), pipe)
            outcomes = progress.outcomes
        return Attributions(outcomes)
