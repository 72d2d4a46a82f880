"""Which versions of the model are served, and by how many workers: what these have announced."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from redis import Redis, RedisError

from celery_app.client.redis.queue_capacity import QueueCapacity
from monitoring.instruments import background
from monitoring.state import pressure
from monitoring.state.pressure import Level
from tasks.errors import NoModel, UnknownModel
from tasks.messages import Announcement
from tasks.rollout import Rollout, ServedVersions, WorkerRegistry
from tasks.storage import queue_memory, wrong_type

logger = logging.getLogger(__name__)

#: Seconds for which what was read is believed before it is read again; and that there is none.
FRESH_S = 1.0
NONE_YET_S = 0.1
#: Seconds after which a server that has not answered is said to be silent.
SILENT_S = 3.0


class State(NamedTuple):
    """How a server was when it was looked at last."""

    #: Monotonic, in seconds.
    at: float
    words: str


class ModelRegistry:
    """Looks at broker and cache once a second. Keeps the announcement while the broker is gone.

    No request waits for a Redis here: each is told what was seen last.
    """

    def __init__(self, broker: Redis, cache: Redis, machine: str, room: QueueCapacity) -> None:
        """``room`` is told what the queue takes of the broker's memory."""
        self._room = room
        self._memory = pressure.key(machine)
        self._broker = broker
        self._cache = cache
        self._worker_registry = WorkerRegistry(broker)
        #: As it was seen last; the broker may be gone since.
        self._served = ServedVersions(None, {}, frozenset())
        self._reachable = False
        #: What each version has announced.
        self._known: dict[str, Announcement] = {}
        self._pressure: Level = "ok"
        self._states: dict[str, State] = {}

    def start(self) -> None:
        """Look now, and from now on in threads of their own, one for each server."""
        for look in (self._look_at_broker, self._look_at_cache):
            look()
            background.start(partial(self._keep, look), "model_registry")

    def current(self) -> Announcement:
        """Return the announcement of the model being served. Does not block.

        Raises:
            NoModel: no worker has announced one here.
        """
        version = self._rollout().current
        known = self._known.get(version)
        if known is None:
            raise NoModel(f"no worker serves {version}, which is to be served")
        return known

    def version_for(self, text: str) -> str:
        """Return the version that a message, in its canonical form, goes to. Does not block.

        Raises:
            NoModel: no worker has announced one here.
        """
        rollout = self._rollout()
        if rollout.canary is not None and rollout.takes(text) and self.workers_of(rollout.canary):
            return rollout.canary
        return rollout.current

    def check(self, version: str) -> None:
        """See that a version can be asked. Does not block.

        Raises:
            NoModel: it should be, but it has no worker at present.
            UnknownModel: it is not served, or not any more.
        """
        rollout = self._rollout()
        if version in self._living() or version == rollout.current:
            return
        if version == rollout.canary:
            raise NoModel(f"no worker serves {version} at present")
        raise UnknownModel(f"no worker serves it; served: {', '.join(sorted(self._living()))}")

    def versions(self) -> dict[str, float]:
        """Return the share of the messages that each version is asked. Does not block.

        Raises:
            NoModel: no worker has announced one here.
        """
        rollout = self._rollout()
        shares = dict.fromkeys(sorted(self._living()), 0.0) | {rollout.current: 1.0}
        if rollout.canary is not None and self.workers_of(rollout.canary):
            shares |= {rollout.current: 1 - rollout.share, rollout.canary: rollout.share}
        return shares

    def states(self) -> dict[str, str]:
        """Return the state of each server, ``ok`` where it answers. Does not block."""
        now = time.monotonic()
        return {
            name: state.words
            if (silent_s := now - state.at - FRESH_S) < SILENT_S
            else f"silent for {silent_s:.0f} s"
            for name, state in self._states.items()
        }

    def parts(self) -> dict[str, str]:
        """Return the state of what an answer needs, by name; ``ok`` where it is there.

        Does not block.
        """
        workers = self.workers()
        worker = "unknown" if workers is None else "ok" if workers else "none alive"
        parts = {**self.states(), "worker": worker}
        try:
            self.current()
        except NoModel as error:
            parts["model"] = str(error)
        return parts

    def workers(self) -> int | None:
        """Return how many workers serve what is asked; None: the broker can't be asked.

        Does not block.
        """
        if not self._reachable:
            return None
        rollout = self._served.rollout
        return self.workers_of(rollout.current) if rollout else 0

    def workers_of(self, version: str) -> int:
        """Return how many workers of a version were alive. Does not block."""
        return self._served.workers.get(version, 0)

    def lists(self) -> list[str]:
        """Return the lists of all queues; none where they are not known. Does not block."""
        return self._served.lists if self._served.rollout else []

    def pressure(self) -> Level:
        """Return how full this machine's memory is, as its monitor says. Does not block."""
        return self._pressure

    def _keep(self, look: Callable[[], None]) -> None:
        time.sleep(FRESH_S if self._known else NONE_YET_S)
        look()

    def _look_at_cache(self) -> None:
        try:
            self._cache.ping()
        except RedisError as error:
            self._note("cache", f"unreachable: {type(error).__name__}")
        else:
            self._note("cache", "ok")

    def _look_at_broker(self) -> None:
        try:
            served = self._worker_registry.look()
            self._learn(served)
            under_way = self._room.under_way
            self._room.note(queue_memory.look(self._broker, served.lists), under_way)
            told = wrong_type.get(self._broker, self._memory)
        except RedisError as error:
            self._reachable = False
            self._note("broker", f"unreachable: {type(error).__name__}")
            logger.warning("what is served can't be read: %s", error)
            return
        self._served, self._reachable = served, True
        self._note("broker", "ok")
        self._note("queue", self._room.words)
        memory = pressure.read(told)
        self._pressure = memory.level if memory else "ok"

    def _learn(self, served: ServedVersions) -> None:
        """Read what is announced: again what is asked, for its workers may have moved."""
        asked = {served.rollout.current, served.rollout.canary} if served.rollout else set()
        known = {}
        for version in served.workers:
            announced = None if version in asked else self._known.get(version)
            announced = (
                announced or self._worker_registry.announcement(version) or self._known.get(version)
            )
            if announced is not None:
                known[version] = announced
        self._known = known

    def _rollout(self) -> Rollout:
        if self._served.rollout is None:
            raise NoModel("no worker has announced a model yet")
        return self._served.rollout

    def _living(self) -> set[str]:
        return set(self._served.workers) - self._served.gone

    def _note(self, server: str, words: str) -> None:
        self._states[server] = State(time.monotonic(), words)
