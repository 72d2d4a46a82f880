"""The batch: what happens to the messages of all the chunks that waited, on one screen."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from redis import RedisError
from redis.client import Pipeline

from model.types import ModelError, Prediction
from monitoring.instruments.metrics import OUTCOMES, WorkerMetrics
from monitoring.instruments.request_ids import about, is_valid
from tasks.batch import InFlightBatch, Message, Predictor, answer, counted, kept_failures, unique
from tasks.cooldown import Cooldown
from tasks.errors import (
    BecameDeadLetter,
    BylineError,
    DeadlinePassed,
    InvalidMessage,
    ModelFailed,
    UnknownModel,
)
from tasks.messages import (
    LONGEST_WAIT_S,
    Attribution,
    Chunk,
    Failure,
    Outcome,
    canonical,
    message_id,
    parse_text,
    suffices,
)
from tasks.progress import Progress
from tasks.storage.dead_letters import DeadLetter, DeadLetters
from tasks.storage.reply_queue import ReplyQueue
from tasks.storage.result_cache import AttributionCache

logger = logging.getLogger(__name__)

#: Times that a message is tried alone after a worker died of a batch that held it.
ALONE = 2
#: Seconds after which no other message is tried alone in this pass: other tasks wait.
ALONE_S = 0.25
#: Seconds for which a cache on a server of its own, that does not answer, is left alone.
REST_S = 4.0


class BatchProcessor:
    """Attributes whole batches. Called by the one thread that owns the model.

    In two halves, so that the device may compute while the thread sees to another batch.
    """

    def __init__(
        self,
        predictor: Predictor,
        cache: AttributionCache,
        dead_letters: DeadLetters,
        replies: ReplyQueue,
        metrics: WorkerMetrics,
        max_characters: int,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._predictor = predictor
        self._cache = cache
        self._dead_letters = dead_letters
        self.replies = replies
        #: Is the cache gone, where there is more to do than to wait for it?
        self.cache_gone = Cooldown(REST_S if replies.apart else 0.0)
        self.metrics = metrics
        self._counters = {name: metrics.messages.labels(name) for name in OUTCOMES}
        self._cache_duration = metrics.batch_duration.labels("cache")
        self._store_duration = metrics.batch_duration.labels("store")
        self._max_characters = max_characters
        self._now = now  # wall clock: deadlines are set on other machines

    def begin(self, chunks: Sequence[Chunk]) -> InFlightBatch:
        """Admit the messages, look into the cache, and have the model begin with the rest."""
        return self._begin(chunks, None)

    def begin_part(self, progress: Progress, work: int) -> InFlightBatch:
        """Begin, in the same way, with so much of the work that a chunk still needs."""
        return self._begin([progress.part(work)], progress)

    def _begin(self, chunks: Sequence[Chunk], progress: Progress | None) -> InFlightBatch:
        admitted = [self._admit(chunk) for chunk in chunks]
        wanted = _wanted(admitted, progress)
        start = time.monotonic()
        known = self._cached(wanted)
        cache_s = time.monotonic() - start
        fresh = [message for message in wanted.values() if message.id not in known]
        launched = self._predictor.launch([m.text for m in fresh]) if fresh else None
        self._note_waits(chunks)
        return InFlightBatch(chunks, admitted, known, fresh, launched, cache_s, progress=progress)

    def begin_alone(
        self, progress: Progress, work: int, alive: Callable[[], None]
    ) -> InFlightBatch:
        """Attribute the next messages of a chunk that a worker died with, one at a time.

        Each is stored before the next is tried. One of which workers died again becomes a dead
        letter. ``alive()`` is called before each: none takes longer than a batch may. After
        ``ALONE_S`` seconds the rest is left to a later pass.
        """
        if not progress.outcomes:
            self.metrics.redelivered.inc()
        chunk = progress.part(work)
        admitted = self._admit(chunk)
        wanted = _wanted([admitted], progress)
        start = time.monotonic()
        known = self._cached(wanted)
        cache_s = time.monotonic() - start
        in_flight = InFlightBatch([chunk], [admitted], known, [], None, cache_s, progress=progress)
        for place, message in enumerate(admitted):
            if message.id not in wanted or message.id in known or message.id in in_flight.computed:
                continue
            if in_flight.computed and time.monotonic() > start + ALONE_S:
                in_flight.shorten(place)
                break
            alive()
            in_flight.computed[message.id] = self._try(wanted[message.id], in_flight)
        return in_flight

    def _try(self, message: Message, in_flight: InFlightBatch) -> Outcome:
        if self._cache.attempt(message.id) <= ALONE:
            outcome = self._compute([message])[message.id]
        else:
            outcome = self._make_dead_letter(message, in_flight)
        self._cache.put_alone(outcome)
        return outcome

    def _make_dead_letter(self, message: Message, in_flight: InFlightBatch) -> Outcome:
        request_ids = in_flight.request_ids({message.id})
        with about(request_ids):
            logger.error("workers died of the message %s; it is a dead letter", message.id)
        self.metrics.dead_letters.inc()
        [chunk] = in_flight.chunks
        self._dead_letters.put(
            DeadLetter(
                message.id,
                message.text,
                message.explain,
                self._predictor.version,
                chunk.id,
                self._now(),
                [id for id in request_ids if is_valid(id)],
            )
        )
        words = f"workers died of this message {ALONE + 1} times; it is a dead letter"
        return Failure(message.id, BecameDeadLetter.code, words)

    def finish(self, in_flight: InFlightBatch, pipe: Pipeline) -> list[list[Outcome]]:
        """Return the outcomes of each of ``in_flight.answered``, in the order of its messages.

        What must be stored and replied is queued on ``pipe``; the caller executes it, and
        acknowledges the chunks only then.
        """
        in_flight.computed |= self._compute(in_flight.fresh, in_flight.launched)
        in_flight.computed_at = time.monotonic()
        _log_failures(in_flight)
        settled = in_flight.known | in_flight.computed
        everything = settled
        if in_flight.progress is not None:
            everything = in_flight.progress.settled
            everything.update(settled)
        outcomes = [
            [answer(m, everything) if isinstance(m, Message) else m for m in chunk]
            for chunk in in_flight.admitted
        ]
        refused = [
            m for chunk in in_flight.admitted for m in chunk if isinstance(m, Failure) and m.id
        ]
        self._cache.put(pipe, [*refused, *in_flight.computed.values()])
        in_flight.kept = {**{failure.id: failure for failure in refused}, **settled}
        known = everything | in_flight.kept  # a text may have been seen to in an earlier pass
        for chunk, messages in zip(in_flight.chunks, in_flight.admitted, strict=True):
            in_flight.kept |= self._renamed(chunk, messages, known)
        if in_flight.progress is not None:
            [added], total = outcomes, in_flight.progress.outcomes
            total += added
            outcomes = [total] if in_flight.progress.complete else []
        self.replies.queue(pipe, in_flight.answered, outcomes, in_flight.kept)
        return outcomes

    def record(self, in_flight: InFlightBatch) -> None:
        """Count a batch that is seen to."""
        self._cache_duration.observe(in_flight.cache_s)
        self._store_duration.observe(time.monotonic() - in_flight.computed_at)
        for outcome, number in counted(in_flight).items():
            self._counters[outcome].inc(number)
        if in_flight.computed:
            self.metrics.batch_messages.observe(len(in_flight.computed))

    def rest(self) -> None:
        """Free what is kept for batches to come."""
        self._predictor.release()

    def _note_waits(self, chunks: Sequence[Chunk]) -> None:
        now = self._now()
        for chunk in chunks:
            if chunk.sent_at is not None:
                wait_s = min(max(0.0, now - chunk.sent_at), LONGEST_WAIT_S)
                self.metrics.queue_wait.observe(wait_s)

    def fail(
        self, awaited: Sequence[Chunk], pipe: Pipeline, error: BylineError
    ) -> list[list[Outcome]]:
        """Queue ``error`` as the outcome of chunks that api processes wait for, and return it."""
        failures: list[list[Outcome]] = [
            [Failure(self._id(chunk, text), error.code, str(error)) for text in chunk.texts]
            for chunk in awaited
        ]
        self._counters["failed"].inc(sum(map(len, failures)))
        kept = kept_failures(failures)
        self._cache.put(pipe, kept.values())
        self.replies.queue(pipe, awaited, failures, kept)
        return failures

    def _id(self, chunk: Chunk, text: object) -> str:
        try:
            valid = parse_text(text, self._max_characters)
        except InvalidMessage:
            return ""
        return message_id(chunk.version or self._predictor.version, valid)

    def _renamed(
        self, chunk: Chunk, messages: Sequence[Message | Failure], known: Mapping[str, Outcome]
    ) -> dict[str, Outcome]:
        """Return, by the ids of another model's version, what was promised under these."""
        if chunk.exact or chunk.version is None or chunk.version == self._predictor.version:
            return {}
        return {
            message_id(chunk.version, canonical(text)): known[message.id]
            for text, message in zip(chunk.texts, messages, strict=True)
            if message.id
        }

    def _admit(self, chunk: Chunk) -> list[Message | Failure]:
        now, served = self._now(), self._predictor.version
        version = chunk.version if chunk.exact and chunk.version is not None else served
        return [
            self._parse(
                text, deadline is not None and deadline < now, chunk.explain, version, served
            )
            for text, deadline in zip(chunk.texts, chunk.deadlines, strict=True)
        ]

    def _parse(
        self, text: object, expired: bool, explain: bool, version: str, served: str
    ) -> Message | Failure:
        """Return the message, or why it is none. ``version`` is the one that may answer it."""
        id = ""
        try:
            valid = parse_text(text, self._max_characters)
            id = message_id(version, valid)
            if version != served:
                raise UnknownModel(f"no worker serves {version} any more")
            if expired:
                raise DeadlinePassed("the deadline passed before the model was free")
        except BylineError as error:
            return Failure(id, error.code, str(error))
        return Message(id, valid, explain)

    def _cached(self, wanted: dict[str, Message]) -> dict[str, Outcome]:
        if self.cache_gone.resting:
            return {}
        try:
            found = self._cache.get_many(list(wanted))
        except RedisError as error:
            logger.warning("the cache can't be read, every message is computed: %s", error)
            self.cache_gone.failed()
            return {}
        return {
            id: outcome for id, outcome in found.items() if suffices(outcome, wanted[id].explain)
        }

    def _compute(self, messages: Sequence[Message], launched: Any = None) -> dict[str, Outcome]:
        """Attribute all; where the model raises, halve the batch until the culprit is alone."""
        if not messages:
            return {}
        try:
            if launched is None:
                launched = self._predictor.launch([m.text for m in messages])
            predictions = self._predictor.collect(launched)
            version = self._predictor.version
            return {
                m.id: self._attribution(m, prediction, version)
                for m, prediction in zip(messages, predictions, strict=True)
            }
        except ModelError as error:
            if len(messages) == 1:
                return {messages[0].id: Failure(messages[0].id, ModelFailed.code, str(error))}
        middle = len(messages) // 2
        return self._compute(messages[:middle]) | self._compute(messages[middle:])

    def _attribution(self, message: Message, prediction: Prediction, version: str) -> Attribution:
        attribution = Attribution(
            message.id, prediction.author, prediction.confidence, prediction.candidates, version
        )
        if message.explain:
            # Where the model abstains, the evidence is that for its best guess.
            evidence = self._predictor.explain(message.text, prediction.candidates[0].author)
            attribution.evidence = evidence
        return attribution


def _log_failures(in_flight: InFlightBatch) -> None:
    """Logs which messages of a batch the model failed on, in one line, and why the first of them.

    An error of the model quotes no text.
    """
    failed = {
        outcome.id: outcome
        for outcome in in_flight.computed.values()
        if isinstance(outcome, Failure) and outcome.code == ModelFailed.code
    }
    if not failed:
        return
    first, *others = failed.values()
    line = "the model failed on the message %s%s: %s"
    more = f" and {len(others)} more" if others else ""
    with about(in_flight.request_ids(failed)):
        logger.warning(line, first.id, more, first.detail)


def _wanted(
    admitted: Sequence[Sequence[Message | Failure]], progress: Progress | None
) -> dict[str, Message]:
    """Return, by id, the messages for which no earlier pass has an outcome."""
    wanted = unique(message for chunk in admitted for message in chunk)
    if progress is None:
        return wanted
    return {id: message for id, message in wanted.items() if id not in progress.settled}
