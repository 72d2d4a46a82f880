"""Tasks for any version, and for those whose workers are gone, come to the version that is served.

Each worker consumes the queue of its own version, and no other. Celery's clients know of no
versions and send to :data:`~tasks.messages.QUEUE`; the workers of the version that is served move
these tasks to their own queue, and what was sent to a version that has no worker left.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from celery import bootsteps
from celery.worker.consumer.tasks import Tasks
from redis import Redis, RedisError
from redis.exceptions import OutOfMemoryError

from monitoring.instruments import background
from tasks.messages import QUEUE
from tasks.rollout import WorkerRegistry, lists, queue_of
from tasks.storage.lua_scripts import read_script
from tasks.storage.wrong_type import delete_wrong_types, is_wrong_type

logger = logging.getLogger(__name__)

#: Seconds between two looks at what is served; for which a task is waited for, after which those of
#: lower priority are looked for; and after which Redis is asked again where it does not answer.
LOOK_S, WAIT_S, REST_S = 1.0, 0.1, 1.0
#: Tasks of each priority that are moved at once, at most.
MOVED = 100

_SCRIPT = read_script(Path(__file__).with_name("forward.lua"))

Step = type[bootsteps.StartStopStep]


class Forwarder:
    """Moves tasks. Called by a thread of its own: it waits for them."""

    def __init__(
        self, client: Redis, version: Callable[[], str], worker_registry: WorkerRegistry
    ) -> None:
        """``worker_registry`` is where this worker registers: it knows which others could, too."""
        self._client = client
        self._version = version
        self._worker_registry = worker_registry

    def look(self, stop: threading.Event) -> None:
        """Move for a while what there is to be moved, or wait. Returns at once on ``stop``."""
        try:
            if self.adopt():
                self._forward(stop)
            else:
                stop.wait(LOOK_S)
        except RedisError as error:
            if is_wrong_type(error) and self._delete_wrong_types():
                return
            logger.warning("tasks for any version can't be moved: %s", error)
            stop.wait(REST_S)

    def _delete_wrong_types(self) -> bool:
        """Delete what is where a list should be. Returns whether there was anything."""
        try:
            names = self._worker_registry.look().lists
            return delete_wrong_types(self._client, dict.fromkeys(names, "list"))
        except RedisError as error:
            logger.warning("keys of another type can't be deleted: %s", error)
            return False

    def adopt(self) -> bool:
        """Take over what was sent to versions that are gone, where this version is served.

        Returns whether it is.
        """
        own, served = self._version(), self._worker_registry.look()
        if served.rollout is None or served.rollout.current != own:
            return False
        for version in served.gone - {own}:
            while moved := self._moved(queue_of(version)):
                logger.warning("%d tasks for %s are given to %s", moved, version, own)
                self._worker_registry.remember(version)
        self._worker_registry.forget(served.gone - {own})
        return True

    def _forward(self, stop: threading.Event) -> None:
        until = time.monotonic() + LOOK_S
        own = queue_of(self._version())
        while time.monotonic() < until and not stop.is_set():
            try:
                self._client.execute_command("BLMOVE", QUEUE, own, "RIGHT", "LEFT", WAIT_S)
            except OutOfMemoryError:  # for that command alone Redis needs memory
                stop.wait(WAIT_S)
            self._moved(QUEUE)

    def _moved(self, queue: str) -> int:
        keys = [*lists(queue), *lists(queue_of(self._version()))]
        moved: Any = self._client.eval(_SCRIPT, len(keys), *keys, MOVED)
        return int(moved)


def forward_step(forwarder: Forwarder) -> Step:
    """Return the step that has a thread move tasks for as long as Celery consumes."""

    class ForwardStep(bootsteps.StartStopStep):
        requires = (Tasks,)
        stopping: threading.Event | None = None

        def start(self, consumer: Any) -> None:
            self.stopping = threading.Event()
            background.start(partial(forwarder.look, self.stopping), "forwarder", self.stopping)

        def stop(self, consumer: Any) -> None:
            if self.stopping is not None:
                self.stopping.set()

    return ForwardStep
