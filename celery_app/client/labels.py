"""Records the true author of a message from feedback, and whether the model was right.

If ``BYLINE_KEEP_FEEDBACK`` is set, also keeps the message's text.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, NamedTuple

from redis import RedisError
from redis.asyncio import Redis

from celery_app.settings import Settings
from model.canonical import canonical
from monitoring.instruments.metrics import ApiMetrics
from monitoring.state.windows import LABELS, Window
from tasks.errors import CacheUnavailable, Conflict, NotFound
from tasks.feedback.kept_texts import DAY_S, KeepLimits
from tasks.messages import Attribution, parse_author
from tasks.storage.lua_scripts import read_script
from tasks.storage.pending_results import PendingResults

#: Prefix of the Redis key that holds a message's true author.
FEEDBACK = "byline:feedback:"
#: Suffix of the Redis key of a message's trace: a list of the authors that corrections have
#: replaced.
TRACE = ":before"
#: Largest number of authors that the trace of a message keeps.
MAX_TRACE = 20
_CORRECT = read_script(Path(__file__).with_name("correct_label.lua"))


class Label(NamedTuple):
    """The result of recording a message's true author."""

    #: The true author, in the canonical form.
    author: str
    #: Whether the model's best guess is the true author.
    correct: bool
    #: The authors that corrections have replaced. The author that was replaced first comes first.
    before: list[str]


class Labels:
    """Records the true authors of messages, and counts how often the model was right.

    Use this object in one event loop's thread.
    """

    def __init__(
        self,
        pending_results: PendingResults,
        cache: Redis,
        metrics: ApiMetrics,
        settings: Settings,
    ) -> None:
        """Redis keeps a true author for ``settings.result_ttl_s`` seconds, like the attributions.

        During this time, a message is counted only once, even if its author is recorded again.
        """
        self._pending_results = pending_results
        self._cache = cache
        self._window = Window(LABELS, settings.feedback_window_s)
        self._metrics = metrics
        self._ttl_s = settings.result_ttl_s
        self._keep_limits = _keep_limits(settings)

    async def learn(self, id: str, author: str, corrects: bool = False) -> Label:
        """Records ``author`` as the true author of the message ``id``.

        If ``corrects`` is True, ``author`` replaces the author that was recorded before.

        Raises:
            InvalidMessage: the author's name is invalid.
            NotFound: the attribution does not exist yet, or has expired.
            Conflict: another author is recorded, and ``corrects`` is False, or another request
                changed the author meanwhile.
            BrokerUnavailable, CacheUnavailable: the broker or the cache can't be reached.
        """
        author = parse_author(author)
        attribution = await self._attribution(id)
        name = FEEDBACK + id
        try:
            if await self._cache.set(name, author, nx=True, ex=self._ttl_s):
                await self._count(name, attribution, author)
                await self._keep_text(name, attribution)
                return Label(author, _is_right(attribution, author), [])
            before = await self._stored_author(name)
            if before and before != author.encode():
                await self._correct(name, attribution, before, author, corrects)
            await self._keep_text(name, attribution)  # also where it failed the first time
            return Label(author, _is_right(attribution, author), await self._trace(name))
        except RedisError:
            raise CacheUnavailable("the cache, where attributions are, can't be reached") from None

    async def _keep_text(self, name: str, attribution: Attribution) -> None:
        """Keeps the message's text under the author that the Redis key ``name`` holds.

        Does nothing if the settings keep no texts, or if this author has the text already.
        """
        if self._keep_limits is None:
            return
        command = self._keep_limits.keep_command(name, attribution.id, attribution.model)
        responses: Any = await self._cache.execute_command(*command)
        outcome, dropped = responses[0].decode(), int(responses[1])
        if outcome != "unchanged":
            self._metrics.feedback_texts.labels(outcome).inc()
        self._metrics.feedback_texts.labels("dropped").inc(dropped)

    async def _stored_author(self, name: str) -> bytes | None:
        """Returns the author that is stored under the key ``name``; None if there is no author.

        Deletes the key if its value is not a string.
        """
        found: Any = await self._cache.mget([name])
        before: bytes | None = found[0]
        if before is None:
            await self._cache.delete(name)
        return before

    async def _trace(self, name: str) -> list[str]:
        """Returns the authors that corrections have replaced, in the order of the corrections.

        If there are more than :data:`MAX_TRACE`, the result has only the last of them. ``name`` is
        the Redis key of the message's present author.
        """
        found: Any = await self._cache.type(name + TRACE)
        authors: Any = await self._cache.lrange(name + TRACE, 0, -1) if found == b"list" else []
        return [author.decode(errors="replace") for author in authors]

    async def _correct(
        self, name: str, attribution: Attribution, before: bytes, author: str, allowed: bool
    ) -> None:
        """Replaces a message's recorded author ``before``, and corrects the count of right guesses.

        ``allowed`` says whether the caller asked for a correction.

        Raises:
            Conflict: ``allowed`` is False, or another request changed the author meanwhile.
        """
        if not allowed:
            raise Conflict(
                "another author was given for this message before; "
                'to correct that, send "corrects": true'
            )
        was_right = _is_right(attribution, before.decode(errors="replace"))
        is_right = _is_right(attribution, author)
        keys = (name, name + TRACE, await self._slice(name, attribution.model))
        change = int(is_right) - int(was_right)
        done: Any = await self._cache.eval(
            _CORRECT, len(keys), *keys, before, author, change, MAX_TRACE
        )
        if not done:
            raise Conflict("somebody else corrected this feedback at the same time; send it again")
        self._metrics.corrections.labels(str(was_right).lower(), str(is_right).lower()).inc()

    async def _slice(self, name: str, version: str) -> str:
        """Returns the Redis key of the counts that include the true author of a message.

        Each short period has its own counts. ``name`` is the Redis key that holds the author.
        ``version`` is the model version that made the attribution.
        """
        # The remaining time to live of ``name`` tells in which period the author was counted.
        left_ms: Any = await self._cache.pttl(name)
        return self._window.key_at(version, time.time() - self._ttl_s + max(0, left_ms) / 1000)

    async def _attribution(self, id: str) -> Attribution:
        try:
            outcome = await self._pending_results.find(id)
        except KeyError:
            outcome = None
        if not isinstance(outcome, Attribution) or not outcome.candidates:
            raise NotFound("no attribution has this id: unknown, not made yet, or kept no longer")
        return outcome

    async def _count(self, name: str, attribution: Attribution, author: str) -> None:
        right = _is_right(attribution, author)
        counts = {"labels": 1, "right": int(right)}
        try:
            async with self._cache.pipeline() as pipe:
                self._window.add(pipe, attribution.model, counts)
                await pipe.execute()
        except RedisError:
            await self._cache.delete(name)  # so that the feedback counts when it is sent again
            raise
        self._metrics.feedback.labels(str(right).lower()).inc()


def _keep_limits(settings: Settings) -> KeepLimits | None:
    if settings.keep_feedback is None:
        return None
    return KeepLimits(settings.keep_feedback * DAY_S, settings.keep_feedback_megabytes * 2**20)


def _is_right(attribution: Attribution, author: str) -> bool:
    # A user's own model may name an author in a form that is not canonical.
    return canonical(attribution.candidates[0].author) == author
