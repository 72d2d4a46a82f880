"""What is noted of each request while a load runs; cheap, because it runs beside the load.

So answers are kept as they come, and looked at when the load is over. Failures are counted at once,
but those that only a look at an answer tells.
"""

from __future__ import annotations

from array import array
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import msgspec

from bench.load.messages import Message, Passage

NAN = float("nan")

#: Reasons of the load's own: the connection broke before an answer; none came in all the time that
#: was given to it, and the connection was still whole.
BROKEN, NO_ANSWER = "connection broken", "no answer"

#: Bytes of answers that are kept at most, and of the texts that they are to, with what Python adds
#: to each: 200,000 of the usual length, as many as 20 s at 10,000 a second. Past it, the oldest one
#: is looked at for each that comes.
KEPT_BYTES, ADDED_BYTES = 240 * 2**20, 300


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
    #: Of a bulk item that is promised for later: where its answer will be.
    location: str = ""
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
    """Returns the answers in a response, a promise of one, or why there is none."""
    if status not in (200, 202):
        return _reason(status, body)
    try:
        if bulk:
            return _bulk.decode(body).attributions
        return _promise.decode(body) if status == 202 else [_answer.decode(body)]
    except (msgspec.DecodeError, UnicodeDecodeError):
        return "not an answer"


def _reason(status: int, body: bytes) -> str:
    try:
        return _problem.decode(body).code or f"HTTP {status}"
    except (msgspec.DecodeError, UnicodeDecodeError):
        return f"HTTP {status}"


def _size(messages: Sequence[Message], body: bytes) -> int:
    """Returns about how many bytes an answer and its texts take, which are taken for alike."""
    return len(body) + len(messages) * (len(messages[0].text) + ADDED_BYTES)


@dataclass(slots=True)
class Recorder:
    """Figures of the requests that were due while it was measured.

    Of each request: when it was due, in seconds since the measuring began; its latency from then,
    in seconds, NaN where it failed; how late it left. Of each answer: confidence, and whether it
    was given, is right, and named an author.

    Of an answer that is kept, only the times are known until :meth:`judge_kept` has looked at it,
    when the load is over.
    """

    passages: Sequence[Passage]
    #: Monotonic time at which the measuring began. Who loads sets it.
    began: float = 0.0
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

    #: What is kept: the request's place among all, its messages, the answer's body. Side by side,
    #: for a tuple of each would be one more object that the garbage collector looks through.
    _places: deque[int] = field(default_factory=deque, init=False)
    _messages: deque[Sequence[Message]] = field(default_factory=deque, init=False)
    _bodies: deque[bytes] = field(default_factory=deque, init=False)
    _kept_bytes: int = field(default=0, init=False)

    def note(
        self,
        messages: Sequence[Message],
        due: float,
        late: float,
        latency: float,
        found: list[Answer] | Promise | str,
    ) -> None:
        """Notes one request; ``found`` is its answers, or why it has none."""
        self._add(len(messages), due, late, latency)
        self._settle(len(self.due) - 1, messages, found)

    def keep(
        self,
        messages: Sequence[Message],
        due: float,
        late: float,
        latency: float,
        body: bytes,
    ) -> None:
        """Notes one request whose response had status 200, and look at its ``body`` later."""
        self._places.append(len(self.due))
        self._messages.append(messages)
        self._bodies.append(body)
        self._add(len(messages), due, late, latency)
        self._kept_bytes += _size(messages, body)
        while self._kept_bytes > KEPT_BYTES:
            self._judge_oldest()

    def judge_kept(self) -> None:
        """Looks at all that is kept, in the order in which it came."""
        while self._places:
            self._judge_oldest()

    def _judge_oldest(self) -> None:
        body, messages = self._bodies.popleft(), self._messages.popleft()
        self._kept_bytes -= _size(messages, body)
        self._settle(self._places.popleft(), messages, outcomes(200, body, len(messages) > 1))

    def _add(self, messages: int, due: float, late: float, latency: float) -> None:
        self.due.append(due)
        self.latency.append(latency)
        self.late.append(late)
        self.sent.append(messages)
        self.answered.append(0)
        self.cached.append(0)

    def _settle(
        self, place: int, messages: Sequence[Message], found: list[Answer] | Promise | str
    ) -> None:
        if isinstance(found, Promise):
            self.promised.append(found.location)
            found = self.PROMISED
        elif not isinstance(found, str) and len(found) != len(messages):
            found = "answers missing"
        if isinstance(found, str):
            self.failed[found] += len(messages)
            self.latency[place] = NAN
            return
        for message, answer in zip(messages, found, strict=True):
            if answer.error is not None:
                self.failed[answer.error.code] += 1
                continue
            if answer.location:
                self.promised.append(answer.location)
                self.failed[self.PROMISED] += 1
                self.latency[place] = NAN
                continue
            self.answered[place] += 1
            self.cached[place] += answer.cached
            self._judge(message, answer, place)

    def _judge(self, message: Message, answer: Answer, place: int) -> None:
        """Judges an answer; ``place`` is that of its request among all."""
        best = answer.candidates[0].author if answer.candidates else answer.author
        self.confidence.append(answer.confidence)
        self.by_passage[message.passage] += 1
        self.right.append(best == self.passages[message.passage].author)
        self.named.append(answer.author is not None)
