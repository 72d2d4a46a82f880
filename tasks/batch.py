"""A batch: what it is made of, what became of it, and the model as it sees it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec

from model.types import Evidence, Prediction
from tasks.errors import DeadlinePassed
from tasks.messages import Attribution, Chunk, Failure, Outcome
from tasks.progress import Progress, cut


class Predictor(Protocol):
    """The model as the batch sees it."""

    @property
    def version(self) -> str:
        """The model version, a part of every message's key."""

    def launch(self, texts: Sequence[str]) -> Any:
        """Have the device begin with a batch. What goes wrong is raised by ``collect``."""

    def collect(self, launched: Any) -> list[Prediction]:
        """Return one prediction for each text launched, in order. Raises ``ModelError``."""

    def explain(self, text: str, author: str) -> Evidence | None:
        """Return the evidence, None where the model gives none. Raises ``ModelError``."""

    def release(self) -> None:
        """Give back what the device keeps for tensors to come."""


class Message(msgspec.Struct, frozen=True):
    """One valid message of a chunk."""

    id: str
    text: str
    explain: bool


@dataclass(slots=True)
class InFlightBatch:
    """A batch between its two halves, while the device computes, and what is to be told of it."""

    chunks: Sequence[Chunk]
    #: Of each chunk, what became of its texts.
    admitted: list[list[Message | Failure]]
    #: What the cache had.
    known: dict[str, Outcome]
    #: What it had not, in the order of the model's batch.
    fresh: list[Message]
    #: The model's handle; None where there is nothing to compute.
    launched: Any
    #: Seconds that the cache took to say so.
    cache_s: float
    #: What the model was asked for, and answered.
    computed: dict[str, Outcome] = field(default_factory=dict)
    #: What is kept for those who were promised an answer, by the id that they were told.
    kept: dict[str, Outcome] = field(default_factory=dict)
    #: When the model had answered; monotonic, in seconds.
    computed_at: float = 0.0
    #: Of the chunk of which this is a pass; None: whole chunks.
    progress: Progress | None = None

    @property
    def answered(self) -> Sequence[Chunk]:
        """The chunks all of whose messages have outcomes, once the batch is finished."""
        if self.progress is None:
            return self.chunks
        return [self.progress.chunk] if self.progress.complete else []

    def request_ids(self, messages: Container[str]) -> list[Any]:
        """Returns the ids of the requests that came with these messages, as headers have them."""
        return [
            id
            for chunk, admitted in zip(self.chunks, self.admitted, strict=True)
            for id, message in zip(chunk.request_ids, admitted, strict=False)
            if message.id in messages
        ]

    def shorten(self, messages: int) -> None:
        """Leave the messages after the first so many, of one chunk, to a later pass."""
        [chunk], [admitted] = self.chunks, self.admitted
        self.chunks, self.admitted = [cut(chunk, 0, messages)], [admitted[:messages]]
        kept = {message.id for message in self.admitted[0]}
        self.known = {id: outcome for id, outcome in self.known.items() if id in kept}


def counted(in_flight: InFlightBatch) -> Counter[str]:
    """Return how many messages of a batch there are of each outcome."""
    messages = [message for chunk in in_flight.admitted for message in chunk]
    refused = [message for message in messages if isinstance(message, Failure)]
    counts: Counter[str] = Counter()
    for failure in refused:
        counts["expired" if failure.code == DeadlinePassed.code else "failed"] += 1
    for outcomes, name in ((in_flight.known, "cached"), (in_flight.computed, "computed")):
        answered = sum(isinstance(outcome, Attribution) for outcome in outcomes.values())
        counts[name] = answered
        counts["failed"] += len(outcomes) - answered
    counts["joined"] = len(messages) - len(refused) - len(in_flight.known) - len(in_flight.computed)
    return +counts  # without what there is none of


def unique(messages: Iterable[Message | Failure]) -> dict[str, Message]:
    """Return the messages by id; one that anybody wants explained is explained."""
    unique: dict[str, Message] = {}
    for message in messages:
        if isinstance(message, Message) and (message.explain or message.id not in unique):
            unique[message.id] = message
    return unique


def answer(message: Message, settled: dict[str, Outcome]) -> Outcome:
    """Return the outcome of one who asked; evidence is for those who asked for it."""
    outcome = settled[message.id]
    if isinstance(outcome, Attribution) and not message.explain and outcome.evidence:
        return msgspec.structs.replace(outcome, evidence=msgspec.UNSET)
    return outcome


def kept_failures(outcomes: Sequence[Sequence[Outcome]]) -> dict[str, Outcome]:
    """Return by id the outcomes of chunks that failed; a message that was none has no id."""
    return {outcome.id: outcome for chunk in outcomes for outcome in chunk if outcome.id}
