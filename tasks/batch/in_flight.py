"""A batch that the model is computing: messages, cached outcomes and computed outcomes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from tasks.batch.progress import Progress, slice_chunk
from tasks.errors import DeadlinePassed
from tasks.messages import Attribution, Chunk, Failure, Outcome


class ValidMessage(msgspec.Struct, frozen=True):
    """A message that has passed all checks, so that the model may attribute it."""

    id: str
    text: str
    explain: bool


@dataclass(slots=True)
class InFlightBatch:
    """A batch whose computation has begun. ``BatchProcessor.finish`` adds the outcomes."""

    chunks: Sequence[Chunk]
    #: The messages of each chunk, in order. A refused message is already a failure.
    admitted: list[list[ValidMessage | Failure]]
    #: Outcomes that the cache had, by message id.
    cached: dict[str, Outcome]
    #: Messages that the cache did not have, in the order of the model's batch.
    uncached: list[ValidMessage]
    #: The handle with which the model's predictions are collected; None if nothing is computed.
    launched: Any
    #: Seconds that the cache lookup took.
    cache_s: float
    #: Outcomes that the model computed, by message id.
    computed: dict[str, Outcome] = field(default_factory=dict)
    #: All outcomes, by every id under which a client may fetch an outcome later.
    promised_outcomes: dict[str, Outcome] = field(default_factory=dict)
    #: Monotonic time at which the cache lookup began, in seconds.
    looked_up_at: float = 0.0
    #: Monotonic time at which the model had finished, in seconds.
    computed_at: float = 0.0
    #: Progress of the chunk if several batches compute it; None if this batch has whole chunks.
    progress: Progress | None = None

    @property
    def answered(self) -> Sequence[Chunk]:
        """The chunks that this batch completes: afterwards each of their messages has an outcome.

        If a chunk is computed in several batches, only the last batch completes the chunk. Read
        this property only after the batch has its outcomes.
        """
        if self.progress is None:
            return self.chunks
        return [self.progress.chunk] if self.progress.complete else []

    @property
    def refused(self) -> list[Failure]:
        """The failures of the refused messages that have an id."""
        messages = (message for chunk in self.admitted for message in chunk)
        return [message for message in messages if isinstance(message, Failure) and message.id]

    def request_ids(self, messages: Container[str]) -> list[Any]:
        """Returns the ids of the HTTP requests that the given messages came with.

        ``messages`` are message ids. The request ids come from the tasks' headers, and may be
        invalid.
        """
        return [
            id
            for chunk, admitted in zip(self.chunks, self.admitted, strict=True)
            for id, message in zip(chunk.request_ids, admitted, strict=False)
            if message.id in messages
        ]

    def keep_first(self, messages: int) -> None:
        """Keeps the first messages of a batch that has only one chunk, and removes all others.

        ``messages`` is the number of messages to keep. A later batch computes the removed messages.
        """
        [chunk], [admitted] = self.chunks, self.admitted
        self.chunks, self.admitted = [slice_chunk(chunk, 0, messages)], [admitted[:messages]]
        kept = {message.id for message in self.admitted[0]}
        self.cached = {id: outcome for id, outcome in self.cached.items() if id in kept}


def count_outcomes(batch: InFlightBatch) -> Counter[str]:
    """Returns the number of a batch's messages for each kind of outcome, such as "failed".

    The kinds are values of the label ``outcome`` in the metrics.
    """
    messages = [message for chunk in batch.admitted for message in chunk]
    refused = [message for message in messages if isinstance(message, Failure)]
    counts: Counter[str] = Counter()
    for failure in refused:
        counts["expired" if failure.code == DeadlinePassed.code else "failed"] += 1
    for outcomes, name in ((batch.cached, "cached"), (batch.computed, "computed")):
        attributed = sum(isinstance(outcome, Attribution) for outcome in outcomes.values())
        counts[name] = attributed
        counts["failed"] += len(outcomes) - attributed
    counts["joined"] = len(messages) - len(refused) - len(batch.cached) - len(batch.computed)
    return +counts  # without the kinds of outcome that no message has


def attributed_texts(batch: InFlightBatch) -> dict[str, str]:
    """Returns the texts of the messages that the model attributed in this batch, by message id."""
    return {
        message.id: message.text
        for chunk in batch.admitted
        for message in chunk
        if isinstance(message, ValidMessage)
        and isinstance(batch.computed.get(message.id), Attribution)
    }


def unique_messages(messages: Iterable[ValidMessage | Failure]) -> dict[str, ValidMessage]:
    """Returns the valid messages in a mapping with their ids as keys.

    If several messages have the same id, prefers a message that asks for evidence.
    """
    unique: dict[str, ValidMessage] = {}
    for message in messages:
        if isinstance(message, ValidMessage) and (message.explain or message.id not in unique):
            unique[message.id] = message
    return unique


def outcome_for(message: ValidMessage, outcomes: dict[str, Outcome]) -> Outcome:
    """Returns a message's outcome, without evidence if the message does not ask for it."""
    outcome = outcomes[message.id]
    if isinstance(outcome, Attribution) and not message.explain and outcome.evidence:
        return msgspec.structs.replace(outcome, evidence=msgspec.UNSET)
    return outcome


def failures_by_id(outcomes: Sequence[Sequence[Outcome]]) -> dict[str, Outcome]:
    """Returns the failures of all chunks in one mapping, with the message ids as keys.

    ``outcomes`` has a list of failures for each chunk. Leaves out failures without a message id.
    """
    return {outcome.id: outcome for chunk in outcomes for outcome in chunk if outcome.id}
