"""Tracks how many workers each model version has, and whether Redis or the machine lacks memory.

One thread reads the workers' announcements in Redis once a second, so that no request has to read
them. A second thread checks the cache.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from redis import Redis, RedisError

from celery_app.client.redis.queue_capacity import QueueCapacity
from monitoring.instruments import background
from monitoring.state import machine_memory
from monitoring.state.machine_memory import Level
from tasks.errors import NoModel, UnknownModel
from tasks.messages import Announcement
from tasks.rollout import Rollout, ServedVersions, WorkerRegistry
from tasks.storage import queue_memory, wrong_type

logger = logging.getLogger(__name__)

#: Seconds between two checks of a server.
FRESH_S = 1.0
#: Seconds between two checks of a server while no model is known yet.
NONE_YET_S = 0.1
#: Seconds without an answer after which a server is reported as silent.
SILENT_S = 3.0


class State(NamedTuple):
    """The state of a server (the broker or the cache) at the last check."""

    #: Monotonic time of the check, in seconds.
    at: float
    #: ``ok``, or what is wrong.
    words: str


class ModelRegistry:
    """The last known state of the workers, the broker and the cache, renewed once a second.

    Only ``start`` and ``stop`` block. While the broker can't be reached, the models of the last
    successful check stay known.
    """

    def __init__(
        self, broker: Redis, cache: Redis, machine: str, queue_capacity: QueueCapacity
    ) -> None:
        """``machine`` is this computer's name. The monitor reports memory under this name in Redis.

        The registry checks the broker regularly, and tells ``queue_capacity`` each time how much of
        the broker's memory the queue takes.
        """
        self._queue_capacity = queue_capacity
        self._memory_key = machine_memory.key(machine)
        self._broker = broker
        self._cache = cache
        self._worker_registry = WorkerRegistry(broker)
        #: The result of the last successful check of the broker.
        self._served = ServedVersions(None, {}, frozenset())
        self._reachable = False
        #: Announcements by model version.
        self._known: dict[str, Announcement] = {}
        self._pressure: Level = "ok"
        self._states: dict[str, State] = {}
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Checks the broker and the cache every second, in two threads.

        Returns after the first check of each server.
        """
        for look in (self._look_at_broker, self._look_at_cache):
            look()
            step = partial(self._look_later, look)
            self._threads.append(background.start(step, "model_registry", self._stopping))

    def stop(self) -> None:
        """Ends the threads, and closes the connections. Blocks until the threads have ended."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        for client in (self._broker, self._cache):
            client.connection_pool.disconnect()

    def current(self) -> Announcement:
        """Returns the description of the model version that new messages go to.

        Raises:
            NoModel: no worker has announced this version.
        """
        version = self._rollout().current
        known = self._known.get(version)
        if known is None:
            raise NoModel(f"no worker serves {version}, which new messages are to go to")
        return known

    def version_for(self, text: str) -> str:
        """Returns the version that a message goes to: the current version or the canary.

        The canary is a version on trial. ``text`` is the message's canonical form, which
        ``parse_text`` returns.

        Raises:
            NoModel: no worker has announced a model.
        """
        rollout = self._rollout()
        if rollout.canary is not None and rollout.takes(text) and self.workers_of(rollout.canary):
            return rollout.canary
        return rollout.current

    def check(self, version: str) -> None:
        """Checks that messages can be sent to a model version.

        Raises:
            NoModel: no worker has announced a model, or the version is the canary (a version on
                trial) and has no worker.
            UnknownModel: the version has no worker, and is neither the current version nor the
                canary.
        """
        rollout = self._rollout()
        if version in self._living() or version == rollout.current:
            return
        if version == rollout.canary:
            raise NoModel(f"no worker serves {version} at present")
        raise UnknownModel(f"no worker serves it; served: {', '.join(sorted(self._living()))}")

    def versions(self) -> dict[str, float]:
        """Returns a mapping from model version to its share of the new messages, from 0 to 1.

        Raises:
            NoModel: no worker has announced a model.
        """
        rollout = self._rollout()
        shares = dict.fromkeys(sorted(self._living()), 0.0) | {rollout.current: 1.0}
        if rollout.canary is not None and self.workers_of(rollout.canary):
            shares |= {rollout.current: 1 - rollout.share, rollout.canary: rollout.share}
        return shares

    def states(self) -> dict[str, str]:
        """Returns a mapping from ``broker``, ``cache`` and ``queue`` to their states.

        A state is ``ok``, or says what is wrong.
        """
        now = time.monotonic()
        return {
            name: state.words
            if (silent_s := now - state.at - FRESH_S) < SILENT_S
            else f"silent for {silent_s:.0f} s"
            for name, state in self._states.items()
        }

    def parts(self) -> dict[str, str]:
        """Returns the name and the state of each part that Byline needs for an answer.

        The mapping's keys are names of parts, for example ``cache`` or ``worker``. Each value is
        ``ok``, or says what is wrong.
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
        """Returns how many workers serve the current version; None if the broker is unreachable."""
        if not self._reachable:
            return None
        rollout = self._served.rollout
        return self.workers_of(rollout.current) if rollout else 0

    def workers_of(self, version: str) -> int:
        """Returns how many workers of a model version were alive at the last check."""
        return self._served.workers.get(version, 0)

    def lists(self) -> list[str]:
        """Returns the names of the Redis lists of all Celery queues; empty if no model is known."""
        return self._served.lists if self._served.rollout else []

    def pressure(self) -> Level:
        """Returns the memory pressure of this machine: ``ok``, ``warning`` or ``critical``.

        The machine's monitor reports this level in Redis.
        """
        return self._pressure

    def _look_later(self, look: Callable[[], None]) -> None:
        if not self._stopping.wait(FRESH_S if self._known else NONE_YET_S):
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
            in_flight_bytes = self._queue_capacity.in_flight_bytes
            measured = queue_memory.look(self._broker, served.lists)
            self._queue_capacity.record(measured, in_flight_bytes)
            reported = wrong_type.get(self._broker, self._memory_key)
        except RedisError as error:
            self._reachable = False
            self._note("broker", f"unreachable: {type(error).__name__}")
            logger.warning("the broker can't be asked which models are served: %s", error)
            return
        self._served, self._reachable = served, True
        self._note("broker", "ok")
        self._note("queue", self._queue_capacity.state)
        memory = machine_memory.read(reported)
        self._pressure = memory.level if memory else "ok"

    def _learn(self, served: ServedVersions) -> None:
        """Updates the announcements, in which the workers describe their model versions."""
        # The announcements of the versions in use are read at each check, since their workers may
        # have moved to another device. Other announcements are read once.
        in_use = {served.rollout.current, served.rollout.canary} if served.rollout else set()
        known = {}
        for version in served.workers:
            announced = None if version in in_use else self._known.get(version)
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
