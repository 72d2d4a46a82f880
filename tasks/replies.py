"""Replies to the api processes that wait for a chunk. They wait at the broker.

Where broker and cache are one server, a reply goes with what is stored, in one round trip. Where
they are two, it follows: and where the cache is gone, it goes all the same, and says so.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from redis import Redis
from redis.client import Pipeline

from tasks.messages import REPLY_TTL_S, Chunk, Outcome, Reply
from tasks.wrong_type import without_wrong_types

_encode = msgspec.json.Encoder().encode


class Replies:
    """Sends replies."""

    def __init__(self, broker: Redis | None) -> None:
        """``broker`` is None where the cache's server is the broker's."""
        self._broker = broker

    @property
    def apart(self) -> bool:
        """Whether replies go to another server than what is stored."""
        return self._broker is not None

    def queue(
        self, pipe: Pipeline, chunks: Sequence[Chunk], outcomes: Sequence[list[Outcome]]
    ) -> None:
        """Queue the replies to ``chunks`` behind what is stored, so that a reply means stored."""
        if self._broker is None:
            _queue(pipe, chunks, outcomes, stored=True)

    def send(
        self, chunks: Sequence[Chunk], outcomes: Sequence[list[Outcome]], stored: bool
    ) -> None:
        """Send the replies now, where they do not go with what is stored. Raises ``RedisError``."""
        if self._broker is not None:
            with self._broker.pipeline(transaction=False) as pipe:
                _queue(pipe, chunks, outcomes, stored)
                without_wrong_types(pipe.execute(raise_on_error=False))


def _queue(
    pipe: Pipeline, chunks: Sequence[Chunk], outcomes: Sequence[list[Outcome]], stored: bool
) -> None:
    for chunk, answers in zip(chunks, outcomes, strict=True):
        if chunk.reply_to is not None:
            reply = _encode(Reply(chunk.id, answers, stored))
            pipe.execute_command("LPUSH", chunk.reply_to, reply)
            pipe.execute_command("EXPIRE", chunk.reply_to, REPLY_TTL_S)
