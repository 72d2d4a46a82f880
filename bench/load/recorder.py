"""Records the outcome of each request of a load, with little CPU time while the load runs.

To save CPU time, the recorder keeps responses with status 200 undecoded, and decodes them after the
load. If they take more than :data:`KEPT_BYTES`, it decodes the oldest responses earlier. A failure
that only the body of a response shows is counted when the body is decoded.
"""

from __future__ import annotations

from array import array
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isnan
from typing import ClassVar

import msgspec

from bench.load.messages import Message, Passage

NAN = float("nan")

#: The reason of a request whose connection broke before the response came.
BROKEN = "connection broken"
#: The reason of a request without a response within the timeout, on an open connection.
NO_ANSWER = "no answer"
#: The reason of a request whose response has something else than answers.
NOT_AN_ANSWER = "not an answer"

#: Maximum number of bytes of response bodies, and of their messages' texts, that are kept
#: undecoded. This is enough for 200,000 messages of the usual length: 20 s at 10,000 a second.
#: Above this number, the recorder decodes the oldest body for each new body.
KEPT_BYTES = 240 * 2**20
#: Bytes that Python's objects add to each message.
ADDED_BYTES = 300


class Candidate(msgspec.Struct):
    """An author that may have written a message."""

    author: str


class Reason(msgspec.Struct):
    """The reason why one message of a bulk request failed."""

    code: str


class Answer(msgspec.Struct):
    """One item of a response: an attribution or, in a bulk response, a promise or an error.

    A promise has no attribution yet, but the URL path at which the attribution will be.
    """

    id: str = ""
    author: str | None = None
    confidence: float = NAN
    candidates: tuple[Candidate, ...] = ()
    cached: bool = False
    #: The model version that made the attribution.
    model: str = ""
    #: The URL path of the answer, for a bulk item that is promised for later.
    location: str = ""
    error: Reason | None = None


class Bulk(msgspec.Struct):
    """The response to a bulk request."""

    attributions: list[Answer]


class Promise(msgspec.Struct):
    """The response to an accepted message whose answer will be at the URL path ``location``."""

    location: str


class Problem(msgspec.Struct):
    """An error response. A system that Byline is compared with may omit ``code``."""

    code: str = ""


_answer = msgspec.json.Decoder(Answer)
_bulk = msgspec.json.Decoder(Bulk)
_problem = msgspec.json.Decoder(Problem)
_promise = msgspec.json.Decoder(Promise)


def outcomes(status: int, body: bytes, bulk: bool) -> list[Answer] | Promise | str:
    """Returns what a response holds: answers, a promise of later answers, or the reason for none.

    ``bulk`` says that the request had several messages.
    """
    if status not in (200, 202):
        return _reason(status, body)
    try:
        if status == 202 and not bulk:
            return _promise.decode(body)
        found = _bulk.decode(body).attributions if bulk else [_answer.decode(body)]
    except (msgspec.DecodeError, UnicodeDecodeError):
        return NOT_AN_ANSWER
    return NOT_AN_ANSWER if any(map(_is_empty, found)) else found


def _is_empty(answer: Answer) -> bool:
    """Returns whether a response's item is neither an attribution nor a promise nor an error."""
    return isnan(answer.confidence) and not answer.location and answer.error is None


def _reason(status: int, body: bytes) -> str:
    try:
        return _problem.decode(body).code or f"HTTP {status}"
    except (msgspec.DecodeError, UnicodeDecodeError):
        return f"HTTP {status}"


def _size(messages: Sequence[Message], body: bytes) -> int:
    """Estimates how many bytes of memory a response's body and its request's messages take.

    The estimate assumes that all texts are as long as the first text.
    """
    return len(body) + len(messages) * (len(messages[0].text) + ADDED_BYTES)


@dataclass(slots=True)
class Recorder:
    """The figures of all requests that were due while the load was measured.

    Most figures are arrays with an item for each request or each answer. Until a response is
    decoded, the messages of its request count as unanswered.
    """

    passages: Sequence[Passage]
    #: Monotonic time at which the measurement began, in seconds. The load sets it.
    began: float = 0.0
    #: For each request: when it was due, in seconds since the measurement began.
    due: array[float] = field(default_factory=lambda: array("d"))
    #: For each request: seconds from when it was due until its response; NaN if the request failed.
    latency: array[float] = field(default_factory=lambda: array("f"))
    #: For each request: seconds from when it was due until it was sent.
    late: array[float] = field(default_factory=lambda: array("f"))
    #: For each request: the number of its messages.
    sent: array[int] = field(default_factory=lambda: array("H"))
    #: For each request: the number of its messages that were answered.
    answered: array[int] = field(default_factory=lambda: array("H"))
    #: For each request: the number of its messages that were answered from the cache.
    cached: array[int] = field(default_factory=lambda: array("H"))
    #: For each answer: the confidence.
    confidence: array[float] = field(default_factory=lambda: array("f"))
    #: For each answer: whether its first candidate is the true author.
    right: array[int] = field(default_factory=lambda: array("b"))
    #: For each answer: whether it names an author.
    named: array[int] = field(default_factory=lambda: array("b"))
    #: The number of answers to each passage, by the passage's index.
    by_passage: Counter[int] = field(default_factory=Counter)
    #: Number of messages that were due before the measurement, and answered during it.
    carried: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    #: The URL paths of answers that were promised for later (status 202). Their messages count as
    #: failed.
    promised: list[str] = field(default_factory=list)
    PROMISED: ClassVar[str] = "promised for later"

    #: For each response that is kept undecoded: the index of its request, the messages, and the
    #: body. These are three queues, because a tuple for each response would be one more object for
    #: the garbage collector to scan.
    _indices: deque[int] = field(default_factory=deque, init=False)
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
        """Records one request. ``found`` has its answers, a promise, or the reason why it failed.

        ``due`` is when the request was due, in seconds since the measurement began. ``late`` and
        ``latency`` are the seconds from then until the request was sent, and until its response.
        """
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
        """Records a request whose response had status 200, and keeps ``body`` to decode it later.

        ``due`` is when the request was due, in seconds since the measurement began. ``late`` and
        ``latency`` are the seconds from then until the request was sent, and until its response.
        """
        self._indices.append(len(self.due))
        self._messages.append(messages)
        self._bodies.append(body)
        self._add(len(messages), due, late, latency)
        self._kept_bytes += _size(messages, body)
        while self._kept_bytes > KEPT_BYTES:
            self._judge_oldest()

    def judge_kept(self) -> None:
        """Decodes all responses that were kept undecoded, in the order in which they came."""
        while self._indices:
            self._judge_oldest()

    def _judge_oldest(self) -> None:
        body, messages = self._bodies.popleft(), self._messages.popleft()
        self._kept_bytes -= _size(messages, body)
        self._settle(self._indices.popleft(), messages, outcomes(200, body, len(messages) > 1))

    def _add(self, messages: int, due: float, late: float, latency: float) -> None:
        self.due.append(due)
        self.latency.append(latency)
        self.late.append(late)
        self.sent.append(messages)
        self.answered.append(0)
        self.cached.append(0)

    def _settle(
        self, index: int, messages: Sequence[Message], found: list[Answer] | Promise | str
    ) -> None:
        if isinstance(found, Promise):
            self.promised.append(found.location)
            found = self.PROMISED
        elif not isinstance(found, str) and len(found) != len(messages):
            found = "answers missing"
        if isinstance(found, str):
            self.failed[found] += len(messages)
            self.latency[index] = NAN
            return
        for message, answer in zip(messages, found, strict=True):
            if answer.error is not None:
                self.failed[answer.error.code] += 1
                continue
            if answer.location:
                self.promised.append(answer.location)
                self.failed[self.PROMISED] += 1
                self.latency[index] = NAN
                continue
            self.answered[index] += 1
            self.cached[index] += answer.cached
            self._judge(message, answer, index)

    def _judge(self, message: Message, answer: Answer, index: int) -> None:
        """Records ``answer``, and whether the best guess in ``answer`` is the true author.

        ``index`` is the request's index in the recorder's arrays.
        """
        best = answer.candidates[0].author if answer.candidates else answer.author
        self.confidence.append(answer.confidence)
        self.by_passage[message.passage] += 1
        self.right.append(best == self.passages[message.passage].author)
        self.named.append(answer.author is not None)
