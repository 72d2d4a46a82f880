"""Task names, Redis keys and message types that the api, workers and Celery clients share."""

from __future__ import annotations

import re
import unicodedata
from functools import cache, lru_cache
from hashlib import blake2b
from typing import Any, NamedTuple

import msgspec

from model.types import Candidate, Evidence
from tasks.errors import InvalidMessage

#: Name of the Celery task.
TASK = "byline.attribute"
#: Queue of tasks that any model version may answer. Each version also has a queue of its own, see
#: :func:`tasks.rollout.queue_of`.
QUEUE = "attributions"

#: Kombu's hash of the tasks that workers hold. The name is Byline's own, so that other apps on the
#: same Redis have another hash.
UNACKED = "byline:unacked"

#: Largest number of messages in one task. Their results are one value in Redis, and one list in
#: the client. Reading and writing 100,000 made other tasks wait for five seconds.
LARGEST_TASK = 20_000

#: Header of a task: the Unix time at which it left an api process, in seconds.
SENT = "byline_sent"

#: Header of a task: a list of the HTTP request ids that its messages came with, one per message. A
#: message without a request id has an empty string.
REQUEST_IDS = "byline_request_ids"

#: Header of a task: the span that sent it, in the form of W3C's Trace Context. A program that sends
#: tasks under OpenTelemetry's instrumentation of Celery writes the same header.
TRACEPARENT = "traceparent"

#: Header of a task: a list of the spans of the HTTP requests that its messages came with, each
#: span once, in the same form.
TRACED_REQUESTS = "byline_traced_requests"

#: Header of a task whose worker died, or seemed dead, while the worker held the task.
ORPHANED = "byline_orphaned"

#: Longest wait in the queue that the metrics count, in seconds: any client may set the header
#: ``SENT``.
LONGEST_WAIT_S = 86_400.0

#: Version of the stored values. Every message id hashes this version, so that a cache that another
#: release filled is never misread.
SCHEMA = 1

#: Number of model versions whose hash prefix is cached.
CACHED_PREFIXES = 8

#: Combining marks that may follow one another, as in UAX #15, Stream-Safe Text Format. Sorting them
#: takes time that grows with the square of their number.
MAX_MARKS = 30
#: Largest number of characters that NFC composes into one. A text longer than this many times the
#: limit is refused before it is normalised.
MAX_COMPOSED = 4
#: First code point beyond all combining marks.
_MARKS_END = 0x1F000
#: Range of the rare combining marks: characters beyond U+FFFF.
_RARE = re.compile(f"[\U00010000-{chr(_MARKS_END - 1)}]")
#: A usual combining mark, which replaces each rare one in the check.
_MARK = "\u0301"
#: Half of a surrogate pair.
_SURROGATE = re.compile("[\ud800-\udfff]")

#: Prefix of the reply lists. Each api process has a list, which its tasks name as ``reply_to``.
REPLIES = "byline:replies:"
#: Seconds after which Redis deletes replies that nobody fetches, because their process has died.
REPLY_TTL_S = 60
#: Prefix of the keys of announcements, each under its model version.
MODEL = "byline:model:"
#: Sorted set of model versions by the Unix time of their workers' last registration.
VERSIONS = "byline:versions"
#: Sorted set of all workers' node names by the Unix time of their last registration.
WORKERS = "byline:workers"
#: Seconds between two registrations of a worker.
ANNOUNCE_S = 2.0
#: Seconds for which a worker counts as alive after a registration.
ALIVE_S = 7.0


class Attribution(msgspec.Struct):
    """The model's answer for one message. ``author`` is null if the model abstains."""

    id: str
    author: str | None
    confidence: float
    candidates: tuple[Candidate, ...]
    model: str
    cached: bool = False
    #: Set only where the client asked for evidence; null where the model gives no evidence.
    evidence: Evidence | msgspec.UnsetType | None = msgspec.UNSET
    #: The client's own name for the message, in responses to bulk requests. Never stored.
    ref: str | msgspec.UnsetType = msgspec.UNSET


class Failure(NamedTuple):
    """The reason why a message has no attribution. Encoded in JSON as an array, not an object."""

    id: str
    code: str
    detail: str


Outcome = Attribution | Failure


def suffices(outcome: Outcome, explain: bool) -> bool:
    """Returns whether a stored outcome can answer a request.

    If the request asks for evidence (``explain``), an attribution must have evidence.
    """
    if isinstance(outcome, Failure) or not explain:
        return True
    return outcome.evidence is not msgspec.UNSET


class Reply(msgspec.Struct, array_like=True, frozen=True):
    """A worker's reply to a chunk: the outcomes in the order of the chunk's messages."""

    chunk: str
    outcomes: list[Outcome]


class Announcement(msgspec.Struct, frozen=True):
    """The model that a worker serves. The worker stores this in Redis, and the api reads it.

    The key is :data:`MODEL` plus the model version.
    """

    #: The model card as values that JSON can hold, ``version`` and ``authors`` among them.
    card: dict[str, Any]
    device: str

    @property
    def version(self) -> str:
        """The version of the model. Every message id depends on it."""
        return str(self.card["version"])


class Chunk(msgspec.Struct, frozen=True):
    """The body of one Celery task: the messages that a client sends together."""

    id: str
    #: The texts. A client may send other values, so each is checked when the batch is formed.
    texts: list[Any]
    #: For each text the Unix time, in seconds, after which the text need not be attributed.
    deadlines: list[float | None]
    explain: bool
    #: The model version on which the client based its message ids; None where the client named no
    #: version.
    version: str | None
    #: The list for the :class:`Reply`; None where the client wants only Celery's result.
    reply_to: str | None
    #: Unix time, in seconds, at which the task left the api; None where the client did not send it.
    sent_at: float | None = None
    #: Whether only :attr:`version` may answer.
    exact: bool = False
    #: HTTP request ids, one for each text, unchecked, as the header has them. May be empty.
    request_ids: list[Any] = []

    def __post_init__(self) -> None:
        if len(self.deadlines) != len(self.texts):
            raise ValueError("deadlines must be as many as messages")


def canonical(text: str) -> str:
    r"""Returns the form of ``text`` that is hashed and given to the model.

    This form is in Unicode NFC, has ``\n`` for every line break, and no white space around the
    text.
    """
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    return text.strip()


def parse_text(text: object, max_characters: int) -> str:
    """Checks a text, and returns its canonical form.

    Raises:
        InvalidMessage: the text is not a string, is empty, is longer than ``max_characters``, or
            holds a zero byte, a lone surrogate (which UTF-8 can't encode), or too many combining
            marks in a row.
    """
    if not isinstance(text, str):
        raise InvalidMessage(f"text must be a string, not {type(text).__name__}")
    if len(text) > MAX_COMPOSED * max_characters:
        raise _too_long(text, max_characters)
    if not text.isascii() and _has_too_many_marks(text):
        raise InvalidMessage(f"text holds more than {MAX_MARKS} combining marks in a row")
    text = canonical(text)
    if not text:
        raise InvalidMessage("text is empty")
    if len(text) > max_characters:
        raise _too_long(text, max_characters)
    if "\0" in text:
        raise InvalidMessage("text holds a zero byte")
    if not text.isascii() and _SURROGATE.search(text):
        raise InvalidMessage("text holds half of a surrogate pair")
    return text


def _too_long(text: str, limit: int) -> InvalidMessage:
    return InvalidMessage(f"text has {len(text):,} characters; at most {limit:,}")


def _has_too_many_marks(text: str) -> bool:
    """Returns whether a text has more than ``MAX_MARKS`` combining marks in a row.

    Marks above U+FFFF are rare, and are replaced by a usual mark before the search. The search then
    takes 0.1 us a character. With the rare marks in the regular expression, the search would take
    1 us, because Python looks up only characters below U+10000 in a table.
    """
    if _RARE.search(text):
        text = text.translate(_rare_marks())
    return _too_many_marks_pattern().search(text) is not None


@cache
def _rare_marks() -> dict[int, str]:
    return dict.fromkeys(_marks(0x10000, _MARKS_END), _MARK)


@cache
def _too_many_marks_pattern() -> re.Pattern[str]:
    """Returns the regular expression that finds too many combining marks in a row.

    The expression begins with a character class, which makes the search fast.
    """
    marks = "".join(map(chr, _marks(0x300, 0x10000)))
    return re.compile(f"[{marks}][{marks}]{{{MAX_MARKS}}}")


def _marks(begin: int, end: int) -> list[int]:
    return [point for point in range(begin, end) if unicodedata.combining(chr(point))]


def message_id(version: str, text: str) -> str:
    """Returns a message's id: a blake2b hash (128 bits, in hexadecimal) of version and text.

    ``text`` is in its canonical form. The hash includes the version of the stored values
    (``SCHEMA``). The hash also includes the length of the model version, so that no other pair of
    version and text gives the same bytes.
    """
    digest = _hash_prefix(version).copy()
    digest.update(text.encode())
    return digest.hexdigest()


@lru_cache(CACHED_PREFIXES)
def _hash_prefix(version: str) -> blake2b:
    """Returns the unfinished hash of schema and version, to which a message's text is added."""
    return blake2b(f"{SCHEMA}:{len(version)}:{version}:".encode(), digest_size=16)
