"""Stores dead letters: messages that killed workers, and tasks that no worker can read."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from hashlib import blake2b
from typing import Any
from uuid import uuid4

import msgspec
from redis import Redis, ResponseError

from tasks.storage.wrong_type import delete_wrong_types, is_wrong_type

#: Redis hash: a :class:`DeadLetter` under each message id. The hash has no time to live.
DEAD_LETTERS = "byline:dead_letters"
#: Sorted set of :class:`MalformedTask` by Unix time.
MALFORMED = f"{DEAD_LETTERS}:malformed"
#: Maximum number of malformed tasks that are stored. Older tasks are deleted, so that a client that
#: sends garbage does not fill Redis.
MALFORMED_KEPT = 1000
_TYPES = {DEAD_LETTERS: "hash", MALFORMED: "zset"}


class NoDeadLetter(LookupError):
    """No dead letter has the given id."""


class DeadLetter(msgspec.Struct, frozen=True):
    """A message that killed workers, with its text."""

    id: str
    text: str
    explain: bool
    #: The model version that the workers served.
    version: str
    #: The id of the Celery task that the message came with.
    task: str
    #: Unix time, in seconds, at which the message became a dead letter.
    at: float
    #: The ids of the HTTP requests that the message came with.
    request_ids: list[str] = []


class MalformedTask(msgspec.Struct, frozen=True):
    """A task that no worker can read. The body is not stored: it may hold a message's text."""

    id: str
    #: One of :data:`monitoring.instruments.metrics.MALFORMED`.
    kind: str
    #: The queue that the task was taken from.
    queue: str
    #: Size of the task in bytes.
    size: int
    #: Unix time, in seconds, at which the task became a dead letter.
    at: float


class Unreadable(msgspec.Struct, frozen=True):
    """A dead letter that is stored, but can't be decoded."""

    id: str
    at: float = 0.0


AnyLetter = DeadLetter | MalformedTask | Unreadable

_decode = msgspec.json.Decoder(DeadLetter).decode
_decode_malformed = msgspec.json.Decoder(MalformedTask).decode
_encode = msgspec.json.Encoder().encode


class DeadLetters:
    """Stores dead letters in Redis. All methods may raise ``redis.RedisError``."""

    def __init__(self, client: Redis, now: Callable[[], float] = time.time) -> None:
        self._client = client
        self._now = now

    def put(self, letter: DeadLetter) -> None:
        """Stores a message as a dead letter."""
        try:
            self._client.hset(DEAD_LETTERS, letter.id, _encode(letter))
        except ResponseError as error:
            if not (is_wrong_type(error) and delete_wrong_types(self._client, _TYPES)):
                raise
            self._client.hset(DEAD_LETTERS, letter.id, _encode(letter))

    def put_malformed(self, kind: str, queue: str, size: int) -> None:
        """Stores a malformed task as a dead letter. Keeps the newest ``MALFORMED_KEPT`` tasks."""
        at = self._now()
        task = _encode(MalformedTask(uuid4().hex, kind, queue, size, at))
        try:
            self._keep(task, at)
        except ResponseError as error:
            if not (is_wrong_type(error) and delete_wrong_types(self._client, _TYPES)):
                raise
            self._keep(task, at)

    def _keep(self, task: bytes, at: float) -> None:
        with self._client.pipeline(transaction=False) as pipe:
            pipe.zadd(MALFORMED, {task: at})
            pipe.zremrangebyrank(MALFORMED, 0, -MALFORMED_KEPT - 1)
            pipe.execute()

    def all(self) -> list[AnyLetter]:
        """Returns all dead letters, the oldest first."""
        return sorted((letter for *_, letter in self._entries()), key=lambda letter: letter.at)

    def get(self, id: str) -> AnyLetter:
        """Returns the dead letter with this id. Raises ``NoDeadLetter``."""
        return self._find(id)[2]

    def drop(self, id: str) -> None:
        """Deletes the dead letter with this id. Raises ``NoDeadLetter``."""
        key, member, _ = self._find(id)
        if key == DEAD_LETTERS:
            self._client.hdel(key, member)
        else:
            self._client.zrem(key, member)

    def messages(self) -> int:
        """Returns the number of messages that are dead letters.

        Malformed tasks do not count here. The metrics of each worker count these tasks.
        """
        try:
            return int(self._client.hlen(DEAD_LETTERS))
        except ResponseError as error:
            if not is_wrong_type(error):
                raise
            return 0

    def _find(self, id: str) -> tuple[str, bytes, AnyLetter]:
        for entry in self._entries():
            if entry[2].id == id:
                return entry
        raise NoDeadLetter(f"no dead letter has the id {id}")

    def _entries(self) -> Iterator[tuple[str, bytes, AnyLetter]]:
        """Yields each dead letter with its place in Redis.

        Each item holds the Redis key, the hash field or set member, and the decoded letter.
        """
        letters: Any = self._client.hgetall(DEAD_LETTERS)
        tasks: Any = self._client.zrange(MALFORMED, 0, -1)
        for field, raw in letters.items():
            yield DEAD_LETTERS, field, _read(_decode, raw, field.decode(errors="backslashreplace"))
        for raw in tasks:
            name = blake2b(raw, digest_size=16).hexdigest()  # the entry may hold a text
            yield MALFORMED, raw, _read(_decode_malformed, raw, name)


def _read(decode: Callable[[bytes], AnyLetter], raw: bytes, id: str) -> AnyLetter:
    try:
        return decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Unreadable(id)
