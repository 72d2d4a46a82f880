"""The registry of workers and model versions, and the rollout, which decides between the versions.

Each version has a queue of its own. By default, the rollout moves to another version once its
current version has no workers. Once an operator has set the rollout, only an operator changes it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from typing import Any, NamedTuple

import msgspec
from redis import Redis, RedisError

from monitoring.instruments.log_once import log_once
from tasks.messages import ALIVE_S, MODEL, QUEUE, VERSIONS, WORKERS, Announcement
from tasks.storage import wrong_type
from tasks.storage.wrong_type import delete_wrong_types, without_wrong_types

logger = logging.getLogger(__name__)

#: The key of the rollout.
ROLLOUT = "byline:rollout"
#: Steps of priority. For each step, a queue has a Redis list of its own (kombu.transport.redis).
STEPS = (0, 3, 6, 9)
#: Separator between a queue's name and the priority step, in the name of a list of the queue.
SEPARATOR = "\x06\x16"
#: Seconds for which a version without workers is remembered: a day.
KEPT_S = 86_400
#: Seconds for which a model card is stored: 30 days, the longest period of the accuracy metric.
CARD_S = 2_592_000
#: Longest pause of Celery, in seconds, before it connects to Redis again.
PAUSE_S = 33.0

_encode = msgspec.json.Encoder().encode
_announcement = msgspec.json.Decoder(Announcement).decode


class Rollout(msgspec.Struct, frozen=True):
    """The model versions that new messages go to: the current version, and sometimes a canary."""

    current: str
    #: Another version that a share of the messages goes to.
    canary: str | None = None
    #: The canary's share, from 0 to less than 1.
    share: float = 0.0
    #: The version that was current before.
    previous: str | None = None
    #: Whether an operator set the rollout. If not, the rollout follows the workers.
    set_by_operator: bool = msgspec.field(default=False, name="told")  # its name in Redis

    def takes(self, text: str) -> bool:
        """Returns whether a message goes to the canary, the version on trial.

        Only the hash of the canonical ``text`` decides, so that all processes decide alike. If the
        canary's share grows, the canary keeps all its texts, and gets more.
        """
        return self.canary is not None and canary_hash(text) < self.share


class ServedVersions(NamedTuple):
    """The rollout, and the number of workers of each model version, at one moment."""

    #: The rollout; None if no worker has ever registered.
    rollout: Rollout | None
    #: Number of workers that are alive, by version; 0 for a version that was served recently.
    workers: dict[str, int]
    #: Versions that certainly have no workers any more. A silent worker may still be alive.
    gone: frozenset[str]

    def queue(self, version: str) -> str:
        """Returns the version's own queue, or the queue of all versions if it has no workers."""
        return queue_of(version) if version in self.workers.keys() - self.gone else QUEUE

    @property
    def lists(self) -> list[str]:
        """The names of the Redis lists of all queues."""
        return [name for queue in (QUEUE, *map(queue_of, self.workers)) for name in lists(queue)]


_rollout = msgspec.json.Decoder(Rollout).decode


def canary_hash(text: str) -> float:
    """Returns a hash of a text, from 0 to 1, which decides whether the text goes to the canary."""
    digest = blake2b(text.encode(), digest_size=7, person=b"canary").digest()
    return int.from_bytes(digest) / 2**56


def queue_of(version: str) -> str:
    """Returns the name of the queue of a model version."""
    return f"{QUEUE}.{version}"


def lists(queue: str) -> list[str]:
    """Returns the names of the Redis lists of a queue, one for each priority in ``STEPS``."""
    return [f"{queue}{SEPARATOR}{step}" if step else queue for step in STEPS]


def workers_of(version: str) -> str:
    """Returns the Redis key of a sorted set: a version's workers by time of last registration."""
    return f"{WORKERS}:{version}"


class WorkerRegistry:
    """Stores workers, versions and rollout in Redis. All methods may raise ``redis.RedisError``."""

    def __init__(self, client: Redis, now: Callable[[], float] = time.time) -> None:
        self._client = client
        self._now = now  # wall clock: workers on many machines register
        #: Unix times, in seconds: since when Redis is reachable, and when Redis answered last.
        self._reachable: tuple[float, float] | None = None
        #: Whether Redis failed to answer since ``_reachable`` was set last.
        self._failed = False

    def sign(self, node: str, version: str, card: bytes, started: bool = False) -> None:
        """Registers that the worker ``node`` is alive and serves ``version``.

        ``card`` is the encoded :class:`~tasks.messages.Announcement`. ``started`` is true in the
        worker's first call. Also removes workers that are silent for 70 s, and may direct new
        messages to ``version``.
        """
        now, silent = self._now(), int(10 * ALIVE_S)
        if started:
            self._delete_wrong_types(version)
            self._leave_others(node, version)
        with self._tracking_outages(), self._client.pipeline(transaction=False) as pipe:
            # The card of the newest worker counts. Other workers only write a missing card.
            pipe.set(MODEL + version, card, ex=CARD_S, nx=not started)
            pipe.expire(MODEL + version, CARD_S)
            pipe.zadd(VERSIONS, {version: now})
            # Keys without a time to live don't expire in an outage, and are not evicted.
            for key in (WORKERS, workers_of(version)):
                pipe.zadd(key, {node: now})
                pipe.zremrangebyscore(key, "-inf", now - silent)
            pipe.mget(MODEL + version, ROLLOUT)
            replies = pipe.execute(raise_on_error=False)
            without_wrong_types(replies)
        if any(map(wrong_type.is_wrong_type, replies)):
            self._delete_wrong_types(version)
        announced, raw_rollout = replies[-1]
        if _read_announcement(version, announced) is None:
            self._client.set(MODEL + version, card, ex=CARD_S)
        rollout = _read_rollout(raw_rollout)
        # If no operator set the rollout, the rollout leaves a current version without workers.
        if rollout is None or not (rollout.set_by_operator or rollout.current == version):
            self._follow(version)

    def sign_out(self, node: str, version: str) -> None:
        """Removes the worker ``node``, which takes no more tasks."""
        with self._client.pipeline(transaction=False) as pipe:
            for key in (WORKERS, workers_of(version)):
                pipe.zrem(key, node)
            pipe.execute()

    def look(self) -> ServedVersions:
        """Returns the rollout, and how many workers each version has. Takes two round trips."""
        raw_rollout: Any
        names: Any
        with self._tracking_outages(), self._client.pipeline(transaction=False) as pipe:
            pipe.mget(ROLLOUT)
            pipe.zrange(VERSIONS, 0, -1)
            [raw_rollout], names = without_wrong_types(pipe.execute(raise_on_error=False))
        rollout = _read_rollout(raw_rollout)
        versions = [name.decode(errors="replace") for name in names or []]
        if rollout is not None:
            versions = list(dict.fromkeys([rollout.current, *versions]))
        alive = self._now() - ALIVE_S
        with self._tracking_outages(), self._client.pipeline(transaction=False) as pipe:
            for version in versions:
                pipe.zcount(workers_of(version), alive, "+inf")
                pipe.zcard(workers_of(version))
            replies = without_wrong_types(pipe.execute(raise_on_error=False))
        counts = [count or 0 for count in replies]
        living = dict(zip(versions, counts[::2], strict=True))
        registered = dict(zip(versions, counts[1::2], strict=True))
        # A silent worker is certainly gone only if Redis was reachable all the time.
        sure = self._reachable is not None and self._reachable[0] < alive
        gone = frozenset(v for v in versions if not registered[v] or (sure and not living[v]))
        return ServedVersions(rollout, living, gone)

    def announcement(self, version: str) -> Announcement | None:
        """Returns the workers' announcement of a model version; None if there is none."""
        return _read_announcement(version, wrong_type.get(self._client, MODEL + version))

    def change(self, update: Callable[[Rollout | None], Rollout]) -> Rollout:
        """Replaces the rollout by ``update(rollout)`` in a transaction; returns the new rollout."""

        def write(pipe: Any) -> Rollout:
            [raw_rollout] = pipe.mget(ROLLOUT)
            before = _read_rollout(raw_rollout)
            rollout = update(before)
            pipe.multi()
            pipe.set(ROLLOUT, _encode(rollout))
            if before is not None and before.current != rollout.current:
                # Processes that have not noticed the change still send to the old version. The old
                # version's queue must be remembered, even if its workers died long ago.
                pipe.zadd(VERSIONS, {before.current: self._now()})
            return rollout

        # redis-py's types leave out the value that is returned.
        transaction: Any = self._client.transaction
        rollout: Rollout = transaction(write, ROLLOUT, value_from_callable=True)
        return rollout

    def remember(self, version: str) -> None:
        """Keeps a version and its queue for 24 h more, since tasks may still enter the queue."""
        self._client.zadd(VERSIONS, {version: self._now()})

    def forget(self, gone: Collection[str]) -> None:
        """Forgets the versions in ``gone`` that were last served or remembered over 24 h ago."""
        names: Any = self._client.zrangebyscore(VERSIONS, "-inf", self._now() - KEPT_S)
        for version in {name.decode(errors="replace") for name in names} & set(gone):
            self._client.zrem(VERSIONS, version)
            self._client.delete(workers_of(version))

    def _leave_others(self, node: str, version: str) -> None:
        """Removes a restarted worker from the workers of all versions except ``version``."""
        names: Any = self._client.zrange(VERSIONS, 0, -1)
        with self._client.pipeline(transaction=False) as pipe:
            for other in {name.decode(errors="replace") for name in names} - {version}:
                pipe.zrem(workers_of(other), node)
            pipe.execute()

    def _delete_wrong_types(self, version: str) -> None:
        sets = (VERSIONS, WORKERS, workers_of(version))
        delete_wrong_types(self._client, dict.fromkeys(sets, "zset") | {ROLLOUT: "string"})

    def _follow(self, version: str) -> None:
        gone = self.look().gone

        def update(rollout: Rollout | None) -> Rollout:
            if rollout is None:
                return Rollout(version)
            if rollout.set_by_operator or rollout.current == version or rollout.current not in gone:
                raise _Unchanged
            return Rollout(version, previous=rollout.current)

        try:
            rollout = self.change(update)
        except _Unchanged:
            return
        logger.warning("new messages go to the model version %s now", rollout.current)

    @contextmanager
    def _tracking_outages(self) -> Iterator[None]:
        """Records since when Redis is reachable, by watching the commands of the ``with`` block.

        Workers can't register during an outage, and must not seem dead afterwards.
        """
        try:
            yield
        except RedisError:
            self._reachable, self._failed = None, True
            raise
        now = self._now()
        # After so long without an answer, the machine has perhaps slept.
        if self._reachable is not None and now > self._reachable[1] + ALIVE_S:
            self._reachable, self._failed = None, True
        if self._reachable is None:
            self._reachable = now + (PAUSE_S if self._failed else 0.0), now
        self._reachable = self._reachable[0], now


class _Unchanged(Exception):
    """Ends a transaction that has nothing to write."""


def _read_rollout(raw: bytes | None) -> Rollout | None:
    """Decodes a rollout; returns None if ``raw`` is None or can't be decoded."""
    if raw is None:
        return None
    try:
        return _rollout(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        line = f"{ROLLOUT} can't be read and is replaced: %s"
        log_once(logger, logging.WARNING, line, type(error).__name__)
        return None


def _read_announcement(version: str, raw: bytes | None) -> Announcement | None:
    """Returns the decoded announcement of a version; None if it is missing or unreadable."""
    if raw is None:
        return None
    try:
        announced = _announcement(raw)
        if str(announced.card.get("version")) == version:
            return announced
        kind = "another version"
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        kind = type(error).__name__
    log_once(logger, logging.WARNING, "the announcement of a model version can't be read: %s", kind)
    return None
