"""Sends replies to the api processes that wait, and stores the outcomes of pending results.

If cache and broker are one server, replies and results share one round trip. If not, a second round
trip sends the replies, even if the cache has failed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import msgspec
from redis import Redis
from redis.client import Pipeline

from tasks.messages import REPLY_TTL_S, Chunk, Outcome, Reply
from tasks.storage.pending_results import PROMISED, keep_command
from tasks.storage.wrong_type import without_wrong_types

_encode = msgspec.json.Encoder().encode


class ReplyQueue:
    """Sends replies, and stores the outcomes of pending results."""

    def __init__(self, broker: Redis, apart: bool) -> None:
        """``apart`` is true if broker and cache are two servers."""
        self._broker = broker
        self.apart = apart

    def queue(
        self,
        pipe: Pipeline,
        chunks: Sequence[Chunk],
        outcomes: Sequence[list[Outcome]],
        promised: Mapping[str, Outcome],
    ) -> None:
        """Queues the replies to ``chunks`` on ``pipe``, after the commands that store results.

        Does nothing if broker and cache are two servers. ``promised`` maps every message id that a
        client may ask for to its outcome. ``pipe`` must support the option ``then`` of a command: a
        function that the pipeline calls with the command's response.
        """
        if self.apart:
            return
        if promised:
            # Asks which messages have a pending result.
            pipe.execute_command("MGET", *_keys(promised), then=partial(self._keep, promised))
        # Last on the pipeline, so that results are stored before clients get the replies.
        _queue(pipe, chunks, outcomes)

    def send(
        self,
        chunks: Sequence[Chunk],
        outcomes: Sequence[list[Outcome]],
        promised: Mapping[str, Outcome],
    ) -> None:
        """Sends the replies now if broker and cache are two servers. Raises ``RedisError``.

        If broker and cache are one server, does nothing: :meth:`queue` has queued the replies.
        ``promised`` maps every message id that a client may ask for to its outcome.
        """
        if not self.apart:
            return
        with self._broker.pipeline(transaction=False) as pipe:
            pipe.mget(_keys(promised) or [PROMISED])
            _queue(pipe, chunks, outcomes)
            values, *_ = without_wrong_types(pipe.execute(raise_on_error=False))
        self._keep(promised, values)

    def _keep(self, promised: Mapping[str, Outcome], values: Sequence[bytes | None]) -> None:
        """Stores those outcomes in ``promised`` whose message has a pending result.

        ``values`` has what Redis holds for each id in ``promised``: None if the message has no
        pending result, empty bytes if the result has no outcome yet, otherwise an outcome.
        """
        pairs = zip(promised.items(), values, strict=False)
        pending = {id: outcome for (id, outcome), value in pairs if value is not None}
        # Few messages have a pending result, so this additional round trip is rare.
        if pending:
            self._broker.execute_command(*keep_command(pending))


def _keys(ids: Mapping[str, Outcome]) -> list[str]:
    return [PROMISED + id for id in ids]


def _queue(pipe: Pipeline, chunks: Sequence[Chunk], outcomes: Sequence[list[Outcome]]) -> None:
    for chunk, of_chunk in zip(chunks, outcomes, strict=True):
        if chunk.reply_to is not None:
            reply = _encode(Reply(chunk.id, of_chunk))
            pipe.execute_command("LPUSH", chunk.reply_to, reply)
            pipe.execute_command("EXPIRE", chunk.reply_to, REPLY_TTL_S)
