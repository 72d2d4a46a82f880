"""The wire: names, keys and values that api, worker and any Celery client share. No torch."""

from __future__ import annotations

import re
import unicodedata
from functools import cache, lru_cache
from hashlib import blake2b
from typing import Any, NamedTuple

import msgspec

from model.types import Candidate, Evidence
from tasks.errors import InvalidMessage

#: Name of the Celery task, and of the queue for whom any version of the model will do. That of one
#: version is :func:`tasks.rollout.queue_of`.
TASK = "byline.attribute"
QUEUE = "attributions"

#: A hash of kombu's: what workers hold, apart from that of other apps on one Redis.
UNACKED = "byline:unacked"

#: Most messages of one task: all their results are one value in Redis, and one in the client. To
#: read and to write 100,000 kept other tasks waiting for five seconds.
LARGEST_TASK = 20_000

#: Header of a task: the Unix time at which it left an api process, in seconds.
SENT = "byline_sent"

#: Header of a task: a list with the id of the request that each message came with, empty for one
#: that came with none.
REQUEST_IDS = "byline_request_ids"

#: Header of a task whose worker died, or was taken for dead, while it held the task.
ORPHANED = "byline_orphaned"

#: The longest wait that is believed, in seconds: anybody may have written the header.
LONGEST_WAIT_S = 86_400.0

#: Version of the values below. A part of every message's key, so that a cache filled by
#: another version is never misread.
SCHEMA = 1

#: Versions of which the beginning of a key is kept at hand.
VERSIONED = 8

#: Combining marks that may follow on each other: as in UAX #15, Stream-Safe Text Format. To put
#: them in order takes time that goes with the square of their number.
MARKS = 30
#: Characters of which NFC makes one, at most. What is longer than so many times the limit is looked
#: at no closer.
COMPOSED = 4
#: No combining mark has this code point, nor a larger one. Those beyond U+FFFF are rare.
_MARKS_END = 0x1F000
_RARE = re.compile(f"[\U00010000-{chr(_MARKS_END - 1)}]")
#: Stands in for each of the rare ones.
_MARK = "\u0301"
#: Half of a surrogate pair.
_HALF = re.compile("[\ud800-\udfff]")

#: A list per front-end process, named in a task's ``reply_to``.
REPLIES = "byline:replies:"
#: Seconds a reply waits to be fetched; the list of a process that died expires with it.
REPLY_TTL_S = 60
#: What the workers announce: under each version the model's card, a sorted set of versions, and one
#: of node names, by last sign of life.
MODEL = "byline:model:"
VERSIONS = "byline:versions"
WORKERS = "byline:workers"
#: A worker signs every ANNOUNCE_S seconds, and counts as alive for ALIVE_S after it.
ANNOUNCE_S = 2.0
ALIVE_S = 7.0


class Attribution(msgspec.Struct):
    """The answer for one message. ``author`` is null where the model abstains."""

    id: str
    author: str | None
    confidence: float
    candidates: tuple[Candidate, ...]
    model: str
    cached: bool = False
    #: Only where it was asked for; null where the model can't explain itself.
    evidence: Evidence | msgspec.UnsetType | None = msgspec.UNSET
    #: The caller's own name for the message, in answers to bulk requests; never stored.
    ref: str | msgspec.UnsetType = msgspec.UNSET


class Failure(NamedTuple):
    """Why one message has no attribution. An array on the wire, where an attribution is a map."""

    id: str
    code: str
    detail: str


Outcome = Attribution | Failure


def suffices(outcome: Outcome, explain: bool) -> bool:
    """Return whether what is known answers who asks: there may be no evidence, and it is wanted."""
    if isinstance(outcome, Failure) or not explain:
        return True
    return outcome.evidence is not msgspec.UNSET


class Reply(msgspec.Struct, array_like=True, frozen=True):
    """A worker's answer to one chunk, outcomes in the order of its messages."""

    chunk: str
    outcomes: list[Outcome]


class Announcement(msgspec.Struct, frozen=True):
    """What a worker serves, kept under :data:`MODEL` and its version for the api."""

    #: The model's card as JSON-able values; ``version`` and ``authors`` among them.
    card: dict[str, Any]
    device: str

    @property
    def version(self) -> str:
        """The model version, a part of every message's key."""
        return str(self.card["version"])


class Chunk(msgspec.Struct, frozen=True):
    """The body of one Celery task: messages that waited at the same moment."""

    id: str
    #: Texts, if the client kept to the contract: each is checked when the batch is formed.
    texts: list[Any]
    #: Unix time, in seconds, after which the message at that place is not worth computing.
    deadlines: list[float | None]
    explain: bool
    #: The model version that the client believes to be served, where it has told an id of it.
    version: str | None
    #: The list that awaits a :class:`Reply`; None where only Celery's result is wanted.
    reply_to: str | None
    #: Unix time, in seconds, at which it left the api; None where the client did not say.
    sent_at: float | None = None
    #: Must it be :attr:`version` that answers, or none?
    exact: bool = False
    #: One for each text, as somebody wrote them into the header; empty where none came along.
    request_ids: list[Any] = []

    def __post_init__(self) -> None:
        if len(self.deadlines) != len(self.texts):
            raise ValueError("as many deadlines as messages are needed")


def canonical(text: str) -> str:
    """Return the form of ``text`` that is hashed and shown to the model.

    Unicode NFC, ``\\n`` for every line break, no white space around.
    """
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    return text.strip()


def parse_text(text: object, max_characters: int) -> str:
    """Return the canonical form of a valid text.

    Raises:
        InvalidMessage: not a string, empty, longer than ``max_characters``, or holding a zero
            byte, a lone surrogate, which no UTF-8 can carry, or too many combining marks in a row.
    """
    if not isinstance(text, str):
        raise InvalidMessage(f"text must be a string, not {type(text).__name__}")
    if len(text) > COMPOSED * max_characters:
        raise _too_long(text, max_characters)
    if not text.isascii() and _has_too_many_marks(text):
        raise InvalidMessage(f"text holds more than {MARKS} combining marks in a row")
    text = canonical(text)
    if not text:
        raise InvalidMessage("text is empty")
    if len(text) > max_characters:
        raise _too_long(text, max_characters)
    if "\0" in text:
        raise InvalidMessage("text holds a zero byte")
    if not text.isascii() and _HALF.search(text):
        raise InvalidMessage("text holds half of a surrogate pair")
    return text


def _too_long(text: str, most: int) -> InvalidMessage:
    return InvalidMessage(f"text has {len(text):,} characters; at most {most:,}")


def _has_too_many_marks(text: str) -> bool:
    """Return whether more than ``MARKS`` combining marks follow on each other.

    A pattern looks only characters below U+10000 up in a table. With the rare marks in it, it took
    1 us a character; to replace them before takes 0.1 us, and few texts have any.
    """
    if _RARE.search(text):
        text = text.translate(_rare_marks())
    return _too_many_marks().search(text) is not None


@cache
def _rare_marks() -> dict[int, str]:
    return dict.fromkeys(_marks(0x10000, _MARKS_END), _MARK)


@cache
def _too_many_marks() -> re.Pattern[str]:
    """Return what finds them. Only a class at the very beginning is searched for in a fast loop."""
    marks = "".join(map(chr, _marks(0x300, 0x10000)))
    return re.compile(f"[{marks}][{marks}]{{{MARKS}}}")


def _marks(begin: int, end: int) -> list[int]:
    return [point for point in range(begin, end) if unicodedata.combining(chr(point))]


def message_id(version: str, text: str) -> str:
    """Return the message's key: blake2b, 128 bits, of schema, model version and canonical text.

    The version's length is hashed before it, so that no pair of version and text can be
    mistaken for another pair.
    """
    digest = _versioned(version).copy()
    digest.update(text.encode())
    return digest.hexdigest()


@lru_cache(VERSIONED)
def _versioned(version: str) -> blake2b:
    """Return the hash of what comes before the text: the same for every message of a version."""
    return blake2b(f"{SCHEMA}:{len(version)}:{version}:".encode(), digest_size=16)
