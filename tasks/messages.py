"""Task names, Redis keys and message types that the api, workers and Celery clients share."""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
from typing import Any, NamedTuple

import msgspec

from model.canonical import InvalidText
from model.canonical import parse_author as parsed_author
from model.canonical import parse_text as parsed_text
from model.types import Candidate, Evidence
from tasks.errors import InvalidMessage

#: Name of the Celery task.
TASK = "byline.attribute"
#: Queue of tasks that any model version may answer. Each version also has a queue of its own, see
#: :func:`tasks.rollout.queue_of`.
QUEUE = "attributions"

#: Redis hash in which kombu keeps the tasks that workers hold. The name is Byline's own, so that
#: other apps on the same Redis have another hash.
UNACKED = "byline:unacked"

#: Largest number of messages in one task. Their results are one value in Redis, and one list in
#: the client. Reading and writing 100,000 results made other tasks wait for five seconds.
LARGEST_TASK = 20_000

#: Header of a task: the Unix time, in seconds, at which an api process sent the task.
SENT = "byline_sent"

#: Header of a task: a list of the HTTP request ids that its messages came with, one per message. A
#: message without a request id has an empty string.
REQUEST_IDS = "byline_request_ids"

#: Header of a task: the span in which the task was sent, in the form of W3C's Trace Context. A
#: program that sends tasks under OpenTelemetry's instrumentation of Celery writes the same header.
TRACEPARENT = "traceparent"

#: Header of a task: a list of the spans of the HTTP requests that its messages came with, each
#: span once, in the form of the header ``TRACEPARENT``.
TRACED_REQUESTS = "byline_traced_requests"

#: Header of a task whose worker died, or seemed dead, while the worker held the task.
ORPHANED = "byline_orphaned"

#: Longest wait in the queue that the metrics count, in seconds. The wait is limited because any
#: client may set the header ``SENT``, from which the wait is computed.
LONGEST_WAIT_S = 86_400.0

#: Version of the format of stored values. Every message id hashes this version, so that a release
#: never misreads a value that another release has stored.
SCHEMA = 1

#: Number of model versions whose hash prefix is cached.
CACHED_PREFIXES = 8

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
    """Returns whether a stored outcome can answer a request with or without ``explain``.

    With ``explain``, the request asks for evidence, so a stored attribution must have evidence.
    """
    if isinstance(outcome, Failure) or not explain:
        return True
    return outcome.evidence is not msgspec.UNSET


class Reply(msgspec.Struct, array_like=True, frozen=True):
    """A worker's reply to a chunk: the outcomes in the order of the chunk's messages."""

    chunk: str
    outcomes: list[Outcome]


class Announcement(msgspec.Struct, frozen=True):
    """A worker's announcement of the model that it serves.

    The worker stores the announcement in Redis, and the api reads the announcement. The key is
    :data:`MODEL` plus the model version.
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
    #: HTTP request ids as the header has them, one for each text, or none. They may be invalid.
    request_ids: list[Any] = []

    def __post_init__(self) -> None:
        if len(self.deadlines) != len(self.texts):
            raise ValueError("deadlines must be as many as messages")


def parse_text(text: object, max_characters: int) -> str:
    """Checks a text, and returns its canonical form, as :func:`model.canonical.parse_text` does.

    Raises:
        InvalidMessage: the text is invalid.
    """
    try:
        return parsed_text(text, max_characters)
    except InvalidText as error:
        raise InvalidMessage(str(error)) from None


def parse_author(name: object) -> str:
    """Checks an author's name, and returns its canonical form. Raises ``InvalidMessage``."""
    try:
        return parsed_author(name)
    except InvalidText as error:
        raise InvalidMessage(str(error)) from None


def message_id(version: str, text: str) -> str:
    """Returns a message's id: a blake2b hash (128 bits, in hexadecimal) of version and text.

    ``text`` is in its canonical form. The hash also includes :data:`SCHEMA` and the version's
    length.
    """
    digest = _hash_prefix(version).copy()
    digest.update(text.encode())
    return digest.hexdigest()


@lru_cache(CACHED_PREFIXES)
def _hash_prefix(version: str) -> blake2b:
    """Returns the unfinished hash of schema and version, to which a message's text is added."""
    # With the length, two different pairs of version and text never give the hash the same bytes.
    return blake2b(f"{SCHEMA}:{len(version)}:{version}:".encode(), digest_size=16)
