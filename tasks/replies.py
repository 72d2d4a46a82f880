"""What is told at the broker: replies to the api processes that wait, and what was promised.

Where broker and cache are one server, it goes with what is stored, in one round trip. Where they
are two, it follows: and where the cache is gone, it goes all the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from redis import Redis
from redis.client import Pipeline

from tasks.messages import REPLY_TTL_S, Chunk, Outcome, Reply
from tasks.promises import queue_keep
from tasks.wrong_type import without_wrong_types

_encode = msgspec.json.Encoder().encode


class Replies:
    """Sends replies, and keeps promises."""

    def __init__(self, broker: Redis | None) -> None:
        """``broker`` is None where the cache's server is the broker's."""
        self._broker = broker

    @property
    def apart(self) -> bool:
        """Whether replies go to another server than what is stored."""
        return self._broker is not None

    def queue(
        self,
        pipe: Pipeline,
        chunks: Sequence[Chunk],
        outcomes: Sequence[list[Outcome]],
        kept: Mapping[str, Outcome],
    ) -> None:
        """Queue the replies to ``chunks`` behind what is stored, so that a reply means stored.

        ``kept`` are outcomes by the ids under which they may be promised.
        """
        if self._broker is None:
            _queue(pipe, chunks, outcomes, kept)

    def send(
        self,
        chunks: Sequence[Chunk],
        outcomes: Sequence[list[Outcome]],
        kept: Mapping[str, Outcome],
    ) -> None:
        """Send the same now, where it does not go with what is stored. Raises ``RedisError``."""
        if self._broker is not None:
            with self._broker.pipeline(transaction=False) as pipe:
                _queue(pipe, chunks, outcomes, kept)
                without_wrong_types(pipe.execute(raise_on_error=False))


def _queue(
    pipe: Pipeline,
    chunks: Sequence[Chunk],
    outcomes: Sequence[list[Outcome]],
    kept: Mapping[str, Outcome],
) -> None:
    queue_keep(pipe, kept)
    for chunk, answers in zip(chunks, outcomes, strict=True):
        if chunk.reply_to is not None:
            reply = _encode(Reply(chunk.id, answers))
            pipe.execute_command("LPUSH", chunk.reply_to, reply)
            pipe.execute_command("EXPIRE", chunk.reply_to, REPLY_TTL_S)
