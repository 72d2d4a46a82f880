"""What is told at the broker: replies to the api processes that wait, and what was promised.

Where broker and cache are one server, replies go with what is stored, in one round trip. Where they
are two, they follow: and where the cache is gone, they go all the same. The same round trip asks
which of the messages are promised: few are, and only their outcomes are kept, in a second one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import msgspec
from redis import Redis
from redis.client import Pipeline

from tasks.messages import REPLY_TTL_S, Chunk, Outcome, Reply
from tasks.storage.pending_results import PROMISED, keep
from tasks.storage.wrong_type import without_wrong_types

_encode = msgspec.json.Encoder().encode


class ReplyQueue:
    """Sends replies, and keeps promises."""

    def __init__(self, broker: Redis, apart: bool) -> None:
        """``apart``: whether replies go to another server than what is stored."""
        self._broker = broker
        self.apart = apart

    def queue(
        self,
        pipe: Pipeline,
        chunks: Sequence[Chunk],
        outcomes: Sequence[list[Outcome]],
        kept: Mapping[str, Outcome],
    ) -> None:
        """Queue the replies to ``chunks`` behind what is stored, so that a reply means stored.

        ``kept`` are outcomes by the ids under which they may be promised. ``pipe`` calls what a
        command says is to be called ``then``, with its answer.
        """
        if self.apart:
            return
        if kept:
            pipe.execute_command("MGET", *_keys(kept), then=partial(self._keep, kept))
        _queue(pipe, chunks, outcomes)

    def send(
        self,
        chunks: Sequence[Chunk],
        outcomes: Sequence[list[Outcome]],
        kept: Mapping[str, Outcome],
    ) -> None:
        """Send the same now, where it does not go with what is stored. Raises ``RedisError``."""
        if not self.apart:
            return
        with self._broker.pipeline(transaction=False) as pipe:
            pipe.mget(_keys(kept) or [PROMISED])
            _queue(pipe, chunks, outcomes)
            promised, *_ = without_wrong_types(pipe.execute(raise_on_error=False))
        self._keep(kept, promised)

    def _keep(self, kept: Mapping[str, Outcome], pending_results: Sequence[bytes | None]) -> None:
        """Keep those of ``kept`` for which there is a promise."""
        pairs = zip(kept.items(), pending_results, strict=False)
        promised = {id: outcome for (id, outcome), value in pairs if value is not None}
        if promised:
            self._broker.execute_command(*keep(promised))


def _keys(ids: Mapping[str, Outcome]) -> list[str]:
    return [PROMISED + id for id in ids]


def _queue(pipe: Pipeline, chunks: Sequence[Chunk], outcomes: Sequence[list[Outcome]]) -> None:
    for chunk, answers in zip(chunks, outcomes, strict=True):
        if chunk.reply_to is not None:
            reply = _encode(Reply(chunk.id, answers))
            pipe.execute_command("LPUSH", chunk.reply_to, reply)
            pipe.execute_command("EXPIRE", chunk.reply_to, REPLY_TTL_S)
