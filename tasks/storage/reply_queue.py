"""Sends replies to the api processes that wait, and stores the outcomes of pending results.

The broker gets the replies and the outcomes of pending results. The cache gets the attributions of
the batch. If broker and cache are one server, one round trip stores the attributions and sends the
replies. If they are two servers, a second round trip sends the replies, even if the cache could not
store the attributions.

The round trip that sends the replies also asks which messages have a pending result. Few messages
have one. A further round trip stores the outcomes of these messages.
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

        So results are stored before clients get the replies. Does nothing if broker and cache are
        two servers. ``promised`` maps message ids to outcomes. A client may fetch an outcome later
        by such an id. One command on ``pipe`` gets an option ``then``, which is a function. The
        pipeline has to call this function with the command's response.
        """
        if self.apart:
            return
        if promised:
            pipe.execute_command("MGET", *_keys(promised), then=partial(self._keep, promised))
        _queue(pipe, chunks, outcomes)

    def send(
        self,
        chunks: Sequence[Chunk],
        outcomes: Sequence[list[Outcome]],
        promised: Mapping[str, Outcome],
    ) -> None:
        """Sends the replies now if broker and cache are two servers. Raises ``RedisError``.

        If broker and cache are one server, does nothing: :meth:`queue` has queued the replies.
        For ``promised``, see :meth:`queue`.
        """
        if not self.apart:
            return
        with self._broker.pipeline(transaction=False) as pipe:
            pipe.mget(_keys(promised) or [PROMISED])
            _queue(pipe, chunks, outcomes)
            values, *_ = without_wrong_types(pipe.execute(raise_on_error=False))
        self._keep(promised, values)

    def _keep(self, promised: Mapping[str, Outcome], values: Sequence[bytes | None]) -> None:
        """Stores the outcomes that have a pending result.

        ``values`` has the value in Redis for each id of ``promised``. A value is None if there is
        no pending result, and empty if the result is still pending.
        """
        pairs = zip(promised.items(), values, strict=False)
        pending = {id: outcome for (id, outcome), value in pairs if value is not None}
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
