"""Which versions of the model there are, which one is asked, and by whom it is served.

Workers sign in under the version that they serve; each version has a queue of its own. The
*rollout* says which version new messages go to, and which share of them goes to a canary. As long
as nobody says otherwise, that is the version that workers serve; once somebody has, only who says
so again moves it.
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
#: Kombu keeps a list for each step of priority, and names it so (kombu.transport.redis).
STEPS, SEPARATOR = (0, 3, 6, 9), "\x06\x16"
#: Seconds for which a version is remembered that no worker serves; its card, as long as figures of
#: its quality can be.
KEPT_S, CARD_S = 86_400, 2_592_000
#: Seconds for which Celery may wait before it connects again.
PAUSE_S = 33.0

_encode = msgspec.json.Encoder().encode
_announcement = msgspec.json.Decoder(Announcement).decode


class Rollout(msgspec.Struct, frozen=True):
    """Where new messages go."""

    current: str
    #: Another version, and the share of the messages that goes to it.
    canary: str | None = None
    share: float = 0.0
    #: What was current before.
    previous: str | None = None
    #: Has somebody said so? If not, it follows the workers.
    told: bool = False

    def takes(self, text: str) -> bool:
        """Return whether a message is one of the canary's: always the same ones, and more with it.

        By a hash of the canonical text, so that every process sends a text to the same version,
        and a larger share holds the smaller.
        """
        return self.canary is not None and lot(text) < self.share


class ServedVersions(NamedTuple):
    """One look at what is served."""

    #: None: no worker has ever signed in.
    rollout: Rollout | None
    #: How many workers are alive, by version; 0 for one that was served not long ago.
    workers: dict[str, int]
    #: Those that have none any more. One whose workers are only silent may be back.
    gone: frozenset[str]

    def queue(self, version: str) -> str:
        """Return the queue for who wants ``version``, or any if that is gone."""
        return queue_of(version) if version in self.workers.keys() - self.gone else QUEUE

    @property
    def lists(self) -> list[str]:
        """The lists of all queues."""
        return [name for queue in (QUEUE, *map(queue_of, self.workers)) for name in lists(queue)]


_rollout = msgspec.json.Decoder(Rollout).decode


def lot(text: str) -> float:
    """Return a number from 0 to 1 that a text has drawn, whatever the version."""
    digest = blake2b(text.encode(), digest_size=7, person=b"canary").digest()
    return int.from_bytes(digest) / 2**56


def queue_of(version: str) -> str:
    """Return the name of a version's queue."""
    return f"{QUEUE}.{version}"


def lists(queue: str) -> list[str]:
    """Return the lists of a queue, one for each step of priority."""
    return [f"{queue}{SEPARATOR}{step}" if step else queue for step in STEPS]


def workers_of(version: str) -> str:
    """Return the key of a version's workers, a sorted set of node name by last sign of life."""
    return f"{WORKERS}:{version}"


class WorkerRegistry:
    """Reads and writes it all. Every method may raise ``redis.RedisError``."""

    def __init__(self, client: Redis, now: Callable[[], float] = time.time) -> None:
        self._client = client
        self._now = now  # wall clock: workers of many machines sign
        #: Since when those who live have been able to say so, and when Redis answered last.
        self._well: tuple[float, float] | None = None
        self._failed = False

    def sign(self, node: str, version: str, card: bytes, started: bool = False) -> None:
        """Note that ``node`` is alive and serves ``version``; strike out who has long been silent.

        Where nobody is asked who lives, and nobody has said who is to be, it is this version.
        """
        now, silent = self._now(), int(10 * ALIVE_S)
        if started:
            self._delete_wrong_types(version)
            self._leave_others(node, version)
        with self._watched(), self._client.pipeline(transaction=False) as pipe:
            # The worker that started last says on what; the others only where nobody does.
            pipe.set(MODEL + version, card, ex=CARD_S, nx=not started)
            pipe.expire(MODEL + version, CARD_S)
            pipe.zadd(VERSIONS, {version: now})
            # No time to live: it would pass while Redis is away, and make room for other keys.
            for key in (WORKERS, workers_of(version)):
                pipe.zadd(key, {node: now})
                pipe.zremrangebyscore(key, "-inf", now - silent)
            pipe.mget(MODEL + version, ROLLOUT)
            answers = pipe.execute(raise_on_error=False)
            without_wrong_types(answers)
        if any(map(wrong_type.is_wrong_type, answers)):
            self._delete_wrong_types(version)
        announced, told = answers[-1]
        if _announced(version, announced) is None:
            self._client.set(MODEL + version, card, ex=CARD_S)
        rollout = _read(told)
        if rollout is None or not (rollout.told or rollout.current == version):
            self._follow(version)

    def sign_out(self, node: str, version: str) -> None:
        """Note that ``node`` takes nothing any more."""
        with self._client.pipeline(transaction=False) as pipe:
            for key in (WORKERS, workers_of(version)):
                pipe.zrem(key, node)
            pipe.execute()

    def look(self) -> ServedVersions:
        """Return what is served. Two round trips."""
        told: Any
        names: Any
        with self._watched(), self._client.pipeline(transaction=False) as pipe:
            pipe.mget(ROLLOUT)
            pipe.zrange(VERSIONS, 0, -1)
            [told], names = without_wrong_types(pipe.execute(raise_on_error=False))
        rollout = _read(told)
        versions = [name.decode(errors="replace") for name in names or []]
        if rollout is not None:
            versions = list(dict.fromkeys([rollout.current, *versions]))
        alive = self._now() - ALIVE_S
        with self._watched(), self._client.pipeline(transaction=False) as pipe:
            for version in versions:
                pipe.zcount(workers_of(version), alive, "+inf")
                pipe.zcard(workers_of(version))
            answers = without_wrong_types(pipe.execute(raise_on_error=False))
        counts = [count or 0 for count in answers]
        living = dict(zip(versions, counts[::2], strict=True))
        listed = dict(zip(versions, counts[1::2], strict=True))
        sure = self._well is not None and self._well[0] < alive
        gone = frozenset(v for v in versions if not listed[v] or (sure and not living[v]))
        return ServedVersions(rollout, living, gone)

    def announcement(self, version: str) -> Announcement | None:
        """Return what workers of a version have announced; None: nothing, or long ago."""
        return _announced(version, wrong_type.get(self._client, MODEL + version))

    def change(self, update: Callable[[Rollout | None], Rollout]) -> Rollout:
        """Write what ``update`` makes of the rollout, and return it; nobody comes between."""

        def write(pipe: Any) -> Rollout:
            [told] = pipe.mget(ROLLOUT)
            before = _read(told)
            rollout = update(before)
            pipe.multi()
            pipe.set(ROLLOUT, _encode(rollout))
            if before is not None and before.current != rollout.current:
                # Who has not noticed yet sends to it still, however long ago its workers died.
                pipe.zadd(VERSIONS, {before.current: self._now()})
            return rollout

        # The library's types know of no value that is returned.
        transaction: Any = self._client.transaction
        rollout: Rollout = transaction(write, ROLLOUT, value_from_callable=True)
        return rollout

    def remember(self, version: str) -> None:
        """Note that tasks for a version are about: given back, they go to its queue."""
        self._client.zadd(VERSIONS, {version: self._now()})

    def forget(self, gone: Collection[str]) -> None:
        """Forget those of ``gone`` that have had no worker for long, and with them their queues."""
        names: Any = self._client.zrangebyscore(VERSIONS, "-inf", self._now() - KEPT_S)
        for version in {name.decode(errors="replace") for name in names} & set(gone):
            self._client.zrem(VERSIONS, version)
            self._client.delete(workers_of(version))

    def _leave_others(self, node: str, version: str) -> None:
        """A node that starts serves nothing else: it may have been killed with another version."""
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
            if rollout.told or rollout.current == version or rollout.current not in gone:
                raise _Unchanged
            return Rollout(version, previous=rollout.current)

        try:
            rollout = self.change(update)
        except _Unchanged:
            return
        logger.warning("%s is served now", rollout.current)

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """Note whether Redis answers. After it did not, workers seem dead that could not sign.

        Nor could they while all the machine slept, which shows in the time since the last look.
        """
        try:
            yield
        except RedisError:
            self._well, self._failed = None, True
            raise
        now = self._now()
        if self._well is not None and now > self._well[1] + ALIVE_S:
            self._well, self._failed = None, True
        if self._well is None:
            self._well = now + (PAUSE_S if self._failed else 0.0), now
        self._well = self._well[0], now


class _Unchanged(Exception):
    """There is nothing to write."""


def _read(told: bytes | None) -> Rollout | None:
    """Return the rollout; None where there is none, or one that makes no sense."""
    if told is None:
        return None
    try:
        return _rollout(told)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        line = f"{ROLLOUT} can't be read, and is written anew: %s"
        log_once(logger, logging.WARNING, line, type(error).__name__)
        return None


def _announced(version: str, raw: bytes | None) -> Announcement | None:
    """Return what workers of a version say; None: nothing that this release can read."""
    if raw is None:
        return None
    try:
        announced = _announcement(raw)
        if str(announced.card.get("version")) == version:
            return announced
        kind = "another version"
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        kind = type(error).__name__
    log_once(logger, logging.WARNING, "what a version's workers announce can't be read: %s", kind)
    return None
