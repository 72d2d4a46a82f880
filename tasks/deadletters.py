"""Messages that workers died of, set aside until somebody has looked at them."""

from __future__ import annotations

import msgspec
from redis import Redis

#: A hash of message id to :class:`DeadLetter`. It has no time to live.
DEAD_LETTERS = "byline:dead_letters"


class NotSetAside(LookupError):
    """There is no such message among those set aside."""


class DeadLetter(msgspec.Struct, frozen=True):
    """A message as it was sent, and what became of it."""

    id: str
    text: str
    explain: bool
    #: The model version that it was tried with.
    version: str
    #: The Celery task that it came with.
    task: str
    #: Unix time, in seconds, at which it was set aside.
    at: float


_decode = msgspec.json.Decoder(DeadLetter).decode
_encode = msgspec.json.Encoder().encode


class DeadLetters:
    """Keeps them in Redis. Every method may raise ``redis.RedisError``."""

    def __init__(self, client: Redis) -> None:
        self._client = client

    def put(self, letter: DeadLetter) -> None:
        """Set a message aside."""
        self._client.hset(DEAD_LETTERS, letter.id, _encode(letter))

    def all(self) -> list[DeadLetter]:
        """Return them all, the oldest first."""
        return sorted(map(_decode, self._client.hvals(DEAD_LETTERS)), key=lambda dead: dead.at)

    def get(self, id: str) -> DeadLetter:
        """Return one. Raises ``NotSetAside``."""
        raw = self._client.hget(DEAD_LETTERS, id)
        if raw is None:
            raise NotSetAside(f"no message with the id {id} is set aside")
        return _decode(raw)

    def drop(self, id: str) -> None:
        """Forget one. Raises ``NotSetAside``."""
        if not self._client.hdel(DEAD_LETTERS, id):
            raise NotSetAside(f"no message with the id {id} is set aside")
