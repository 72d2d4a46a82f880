"""Processes a batch: checks messages, reads the cache, runs the model, and stores outcomes."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from redis import RedisError
from redis.client import Pipeline

from monitoring.instruments.metrics import OUTCOMES, WorkerMetrics
from monitoring.instruments.request_ids import about
from tasks.batch.admission import Admission
from tasks.batch.computation import Computation, Predictor
from tasks.batch.in_flight import (
    InFlightBatch,
    ValidMessage,
    attributed_texts,
    count_outcomes,
    failures_by_id,
    outcome_for,
    unique_messages,
)
from tasks.batch.progress import Progress
from tasks.batch.solo_trial import SoloTrial
from tasks.cooldown import Cooldown
from tasks.errors import BylineError, ModelFailed
from tasks.feedback.waiting_texts import WaitingTexts
from tasks.messages import LONGEST_WAIT_S, Chunk, Failure, Outcome, suffices
from tasks.storage.dead_letters import DeadLetters
from tasks.storage.reply_queue import ReplyQueue
from tasks.storage.result_cache import AttributionCache

logger = logging.getLogger(__name__)

#: Seconds for which the worker does not ask a separate cache server that has just failed.
CACHE_COOLDOWN_S = 4.0


class BatchProcessor:
    """Attributes whole batches. Only the thread that owns the model begins and finishes batches.

    ``begin`` and ``finish`` are separate, so that the device may compute one batch while the thread
    finishes another.
    """

    def __init__(
        self,
        predictor: Predictor,
        cache: AttributionCache,
        dead_letters: DeadLetters,
        replies: ReplyQueue,
        metrics: WorkerMetrics,
        max_characters: int,
        waiting_texts: WaitingTexts | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Unless ``waiting_texts`` is None, it stores the texts of attributed messages in Redis."""
        self._predictor = predictor
        self._cache = cache
        self._admission = Admission(predictor, max_characters, now)
        self._computation = Computation(predictor)
        self._solo_trial = SoloTrial(self._computation, cache, dead_letters, metrics, now)
        self.replies = replies
        #: The cooldown that begins when the cache does not answer. If cache and broker are one
        #: server, the cooldown lasts 0 seconds, because without its broker a worker can only wait.
        self.cache_cooldown = Cooldown(CACHE_COOLDOWN_S if replies.apart else 0.0)
        self.metrics = metrics
        self._waiting_texts = waiting_texts
        self._counters = {name: metrics.messages.labels(name) for name in OUTCOMES}
        self._cache_duration = metrics.batch_duration.labels("cache")
        self._store_duration = metrics.batch_duration.labels("store")
        self._now = now  # wall clock: other machines set the deadlines

    def begin(self, chunks: Sequence[Chunk]) -> InFlightBatch:
        """Admits messages, reads the cache, and starts the model on messages not in the cache."""
        return self._begin(chunks, None)

    def begin_part(self, progress: Progress, work: int) -> InFlightBatch:
        """Starts a batch with the first messages of a chunk that have no outcome yet.

        ``work`` limits the work of this batch, in units of one short message.
        """
        return self._begin([progress.part(work)], progress)

    def _begin(self, chunks: Sequence[Chunk], progress: Progress | None) -> InFlightBatch:
        batch, wanted = self._look_up(chunks, progress)
        batch.uncached = [m for m in wanted.values() if m.id not in batch.cached]
        batch.launched = self._computation.launch(batch.uncached)
        self._observe_waits(chunks)
        return batch

    def begin_alone(
        self, progress: Progress, work: int, heartbeat: Callable[[], None]
    ) -> InFlightBatch:
        """Attributes a chunk's next messages one at a time, after a worker that had the chunk died.

        Stores each outcome before it tries the next message. A message that kills workers even when
        it is tried alone becomes a dead letter. See :mod:`tasks.batch.solo_trial`.
        """
        if not progress.outcomes:
            self.metrics.redelivered.inc()
        started = time.monotonic()
        batch, wanted = self._look_up([progress.part(work)], progress)
        self._solo_trial.run(batch, wanted, self._predictor.version, started, heartbeat)
        return batch

    def _look_up(
        self, chunks: Sequence[Chunk], progress: Progress | None
    ) -> tuple[InFlightBatch, dict[str, ValidMessage]]:
        """Returns a new batch with its cached outcomes, and its valid messages by id.

        If an earlier batch of the chunk has an outcome for a message, leaves out the message.
        """
        admitted = [self._admission.admit(chunk) for chunk in chunks]
        wanted = unique_messages(message for chunk in admitted for message in chunk)
        if progress is not None:
            wanted = {id: m for id, m in wanted.items() if id not in progress.outcomes_by_id}
        start = time.monotonic()
        cached = self._read_cache(wanted)
        cache_s = time.monotonic() - start
        batch = InFlightBatch(chunks, admitted, cached, [], None, cache_s, progress=progress)
        batch.looked_up_at = start
        return batch, wanted

    def _read_cache(self, wanted: dict[str, ValidMessage]) -> dict[str, Outcome]:
        if self.cache_cooldown.resting:
            return {}
        try:
            found = self._cache.get_many(list(wanted))
        except RedisError as error:
            logger.warning("the cache can't be read, so every message is computed: %s", error)
            self.cache_cooldown.failed()
            return {}
        return {id: o for id, o in found.items() if suffices(o, wanted[id].explain)}

    def finish(self, batch: InFlightBatch, pipe: Pipeline) -> list[list[Outcome]]:
        """Waits for the model. Returns a list of outcomes for each chunk in ``batch.answered``.

        Each list has the order of the chunk's messages. Queues results and replies on ``pipe``. The
        caller executes the pipeline, and acknowledges the tasks only afterwards.
        """
        batch.computed |= self._computation.compute(batch.uncached, batch.launched)
        batch.computed_at = time.monotonic()
        _log_model_failures(batch)
        new = known = batch.cached | batch.computed
        if batch.progress is not None:
            known = batch.progress.outcomes_by_id
            known.update(new)
        outcomes = [
            [outcome_for(m, known) if isinstance(m, ValidMessage) else m for m in chunk]
            for chunk in batch.admitted
        ]
        self._cache.put(pipe, [*batch.refused, *batch.computed.values()])
        if self._waiting_texts is not None:
            self._waiting_texts.put(pipe, attributed_texts(batch))
        batch.promised_outcomes = self._by_all_ids(batch, new, known)
        if batch.progress is not None:
            [added], total = outcomes, batch.progress.outcomes
            total += added
            outcomes = [total] if batch.progress.complete else []
        self.replies.queue(pipe, batch.answered, outcomes, batch.promised_outcomes)
        return outcomes

    def _by_all_ids(
        self, batch: InFlightBatch, new: dict[str, Outcome], known: dict[str, Outcome]
    ) -> dict[str, Outcome]:
        """Returns the outcomes of a batch by message id: this worker's ids and the clients' ids.

        A client's id differs from this worker's id if the client computed it for another model
        version. ``new`` has the batch's outcomes by this worker's ids. ``known`` also has the
        outcomes of the chunk's earlier batches.
        """
        promised: dict[str, Outcome] = {failure.id: failure for failure in batch.refused}
        promised |= new
        known = known | promised
        for chunk, messages in zip(batch.chunks, batch.admitted, strict=True):
            # If a text comes twice in a chunk, an earlier batch may have computed its outcome.
            promised |= self._admission.outcomes_by_client_id(chunk, messages, known)
        return promised

    def fail(
        self, awaited: Sequence[Chunk], pipe: Pipeline, error: BylineError
    ) -> list[list[Outcome]]:
        """Makes ``error`` the outcome of every message of the chunks ``awaited``.

        Api processes wait for replies to these chunks. Queues on ``pipe`` the commands that store
        the failures and send the replies. Returns a list of failures for each chunk.
        """
        failures: list[list[Outcome]] = [
            [
                Failure(self._admission.client_id(chunk, text), error.code, str(error))
                for text in chunk.texts
            ]
            for chunk in awaited
        ]
        self._counters["failed"].inc(sum(map(len, failures)))
        by_id = failures_by_id(failures)
        self._cache.put(pipe, by_id.values())
        self.replies.queue(pipe, awaited, failures, by_id)
        return failures

    def record(self, batch: InFlightBatch) -> None:
        """Updates the metrics with a finished batch and the outcomes of its messages."""
        self._cache_duration.observe(batch.cache_s)
        self._store_duration.observe(time.monotonic() - batch.computed_at)
        for outcome, number in count_outcomes(batch).items():
            self._counters[outcome].inc(number)
        if batch.computed:
            self.metrics.batch_messages.observe(len(batch.computed))

    def free_memory(self) -> None:
        """Frees the device memory that is kept for later batches."""
        self._predictor.release()

    def _observe_waits(self, chunks: Sequence[Chunk]) -> None:
        now = self._now()
        for chunk in chunks:
            if chunk.sent_at is not None:
                wait_s = min(max(0.0, now - chunk.sent_at), LONGEST_WAIT_S)
                self.metrics.queue_wait.observe(wait_s)


def _log_model_failures(batch: InFlightBatch) -> None:
    """Logs one line about the messages of a batch on which the model failed.

    The line has the first failed message's id and error, and the number of other failed messages.
    """
    failed = {
        outcome.id: outcome
        for outcome in batch.computed.values()
        if isinstance(outcome, Failure) and outcome.code == ModelFailed.code
    }
    if not failed:
        return
    first, *others = failed.values()
    line = "the model failed on the message %s%s: %s"
    more = f" and {len(others)} more" if others else ""
    with about(batch.request_ids(failed)):
        # The detail is the text of a ``ModelError``, which never quotes a message.
        logger.warning(line, first.id, more, first.detail)
