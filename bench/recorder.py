"""What is noted of each request while a load runs; cheap, because it runs beside the load."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import msgspec

from bench.messages import Message, Passage

NAN = float("nan")

#: Reasons of the load's own: the connection broke before an answer; none came in all the time that
#: was given to it, and the connection was still whole.
BROKEN, NO_ANSWER = "connection broken", "no answer"


class Candidate(msgspec.Struct):
    """An author that a message may be by."""

    author: str


class Reason(msgspec.Struct):
    """Why one message of a bulk request failed."""

    code: str


class Answer(msgspec.Struct):
    """An attribution, as far as it is looked at; also a bulk item that failed."""

    id: str = ""
    author: str | None = None
    confidence: float = NAN
    candidates: tuple[Candidate, ...] = ()
    cached: bool = False
    #: The version that answered.
    model: str = ""
    error: Reason | None = None


class Bulk(msgspec.Struct):
    """The answer to a bulk request."""

    attributions: list[Answer]


class Promise(msgspec.Struct):
    """Accepted: the answer will be at ``location``."""

    location: str


class Problem(msgspec.Struct):
    """An error document; a peer may give none."""

    code: str = ""


_answer = msgspec.json.Decoder(Answer)
_bulk = msgspec.json.Decoder(Bulk)
_problem = msgspec.json.Decoder(Problem)
_promise = msgspec.json.Decoder(Promise)


def outcomes(status: int, body: bytes, bulk: bool) -> list[Answer] | Promise | str:
    """Return the answers in a response, a promise of one, or why there is none."""
    if status not in (200, 202) or (status == 202 and bulk):
        return _reason(status, body)
    try:
        if status == 202:
            return _promise.decode(body)
        return _bulk.decode(body).attributions if bulk else [_answer.decode(body)]
    except (msgspec.DecodeError, UnicodeDecodeError):
        return "not an answer"


def _reason(status: int, body: bytes) -> str:
    try:
        return _problem.decode(body).code or f"HTTP {status}"
    except (msgspec.DecodeError, UnicodeDecodeError):
        return f"HTTP {status}"


@dataclass(slots=True)
class Recorder:
    """Figures of the requests that were due while it was measured.

    Of each request: when it was due, in seconds since the measuring began; its latency from then,
    in seconds, NaN where it failed; how late it left. Of each answer: confidence, and whether it
    was given, is right, and named an author.
    """

    passages: Sequence[Passage]
    due: array[float] = field(default_factory=lambda: array("d"))
    latency: array[float] = field(default_factory=lambda: array("f"))
    late: array[float] = field(default_factory=lambda: array("f"))
    sent: array[int] = field(default_factory=lambda: array("H"))
    answered: array[int] = field(default_factory=lambda: array("H"))
    cached: array[int] = field(default_factory=lambda: array("H"))
    confidence: array[float] = field(default_factory=lambda: array("f"))
    right: array[int] = field(default_factory=lambda: array("b"))
    named: array[int] = field(default_factory=lambda: array("b"))
    #: Answers by passage, and those that came while it was measured to what was due before.
    by_passage: Counter[int] = field(default_factory=Counter)
    carried: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    #: Where the answers will be that were promised for later; they count as failed.
    promised: list[str] = field(default_factory=list)
    PROMISED: ClassVar[str] = "promised for later"

    def note(
        self,
        messages: Sequence[Message],
        due: float,
        late: float,
        latency: float,
        found: list[Answer] | Promise | str,
    ) -> None:
        """Note one request; ``found`` is its answers, or why it has none."""
        answered = cached = 0
        if isinstance(found, Promise):
            self.promised.append(found.location)
            found = self.PROMISED
        if isinstance(found, str):
            self.failed[found] += len(messages)
            latency = NAN
        elif len(found) != len(messages):
            self.failed["answers missing"] += len(messages)
            latency = NAN
        else:
            for message, answer in zip(messages, found, strict=True):
                if answer.error is not None:
                    self.failed[answer.error.code] += 1
                    continue
                answered += 1
                cached += answer.cached
                self._judge(message, answer)
        self.due.append(due)
        self.latency.append(latency)
        self.late.append(late)
        self.sent.append(len(messages))
        self.answered.append(answered)
        self.cached.append(cached)

    def _judge(self, message: Message, answer: Answer) -> None:
        best = answer.candidates[0].author if answer.candidates else answer.author
        self.confidence.append(answer.confidence)
        self.by_passage[message.passage] += 1
        self.right.append(best == self.passages[message.passage].author)
        self.named.append(answer.author is not None)
