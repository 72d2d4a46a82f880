"""Tries messages one at a time after a worker died, to find the message that killed the worker."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping

from monitoring.instruments.metrics import WorkerMetrics
from monitoring.instruments.request_ids import about, is_valid
from tasks.batch.computation import Computation
from tasks.batch.in_flight import InFlightBatch, ValidMessage
from tasks.errors import BecameDeadLetter
from tasks.messages import Failure, Outcome
from tasks.storage.dead_letters import DeadLetter, DeadLetters
from tasks.storage.result_cache import AttributionCache

logger = logging.getLogger(__name__)

#: Number of times that a message is tried alone before it becomes a dead letter.
MAX_TRIALS = 2
#: Seconds after which a pass starts no further trial, because other tasks wait.
MAX_PASS_S = 0.25


class SoloTrial:
    """Attributes messages one at a time, and makes dead letters of messages that kill workers."""

    def __init__(
        self,
        computation: Computation,
        cache: AttributionCache,
        dead_letters: DeadLetters,
        metrics: WorkerMetrics,
        now: Callable[[], float],
    ) -> None:
        self._computation = computation
        self._cache = cache
        self._dead_letters = dead_letters
        self._metrics = metrics
        self._now = now

    def run(
        self,
        batch: InFlightBatch,
        wanted: Mapping[str, ValidMessage],
        version: str,
        started: float,
        heartbeat: Callable[[], None],
    ) -> None:
        """Computes and stores the outcomes that the batch lacks, one message at a time.

        After :data:`MAX_PASS_S` seconds, leaves the other messages to a later pass (a later batch
        of this chunk). ``wanted`` has the messages that no earlier pass computed, by id.
        ``started`` is the monotonic time in seconds at which this pass began. Calls ``heartbeat()``
        before each message.
        """
        [admitted] = batch.admitted
        for index, message in enumerate(admitted):
            id = message.id
            if id not in wanted or id in batch.cached or id in batch.computed:
                continue
            if batch.computed and time.monotonic() > started + MAX_PASS_S:
                batch.keep_first(index)
                break
            heartbeat()  # restarts the time limit after which the worker would end as hung
            batch.computed[id] = self._try(wanted[id], batch, version)

    def _try(self, message: ValidMessage, batch: InFlightBatch, version: str) -> Outcome:
        if self._cache.count_trial(message.id) <= MAX_TRIALS:
            outcome = self._computation.compute([message])[message.id]
        else:
            outcome = self._make_dead_letter(message, batch, version)
        self._cache.put_tried(outcome)
        return outcome

    def _make_dead_letter(
        self, message: ValidMessage, batch: InFlightBatch, version: str
    ) -> Outcome:
        request_ids = batch.request_ids({message.id})
        with about(request_ids):
            logger.error("workers died of the message %s; it is a dead letter", message.id)
        self._metrics.dead_letters.inc()
        [chunk] = batch.chunks
        self._dead_letters.put(
            DeadLetter(
                message.id,
                message.text,
                message.explain,
                version,
                chunk.id,
                self._now(),
                [id for id in request_ids if is_valid(id)],
            )
        )
        detail = f"workers died of this message {MAX_TRIALS + 1} times; it is a dead letter"
        return Failure(message.id, BecameDeadLetter.code, detail)
