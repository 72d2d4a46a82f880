"""The forwarder, which moves tasks to this worker's queue if no worker consumes their queue.

Each worker consumes only the queue of its own model version. Celery's clients know no versions, and
send tasks to the common queue, :data:`~tasks.messages.QUEUE`. The workers of the version that gets
new messages move these tasks to their queue, and also the tasks of versions without workers.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from redis import Redis, RedisError
from redis.exceptions import OutOfMemoryError

from tasks.messages import QUEUE
from tasks.rollout import WorkerRegistry, lists, queue_of
from tasks.storage.lua_scripts import read_script
from tasks.storage.wrong_type import delete_wrong_types, is_wrong_type

logger = logging.getLogger(__name__)

#: Seconds between two checks of which version is served.
LOOK_S = 1.0
#: Seconds to wait for a task of normal priority before tasks of lower priority are moved.
WAIT_S = 0.1
#: Seconds after which a Redis that does not answer is asked again.
REST_S = 1.0
#: Largest number of tasks of each priority that are moved at once.
MAX_MOVED = 100

_SCRIPT = read_script(Path(__file__).with_name("forward.lua"))


class Forwarder:
    """Moves tasks to this worker's queue.

    A forwarder blocks while it waits for tasks, so it needs a thread of its own.
    """

    def __init__(
        self, client: Redis, version: Callable[[], str], worker_registry: WorkerRegistry
    ) -> None:
        """``version()`` returns the model version that this worker serves.

        ``worker_registry`` must be the same object that registers this worker, because this object
        records how long Redis has been reachable.
        """
        self._client = client
        self._version = version
        self._worker_registry = worker_registry

    def run_once(self, stop: threading.Event) -> None:
        """Moves tasks for about a second, or until the event ``stop`` is set.

        If new messages go to another model version, waits for about a second and moves nothing.
        """
        try:
            if self.adopt():
                self._forward(stop)
            else:
                stop.wait(LOOK_S)
        except RedisError as error:
            if is_wrong_type(error) and self._delete_wrong_types():
                return
            logger.warning("tasks for any model version can't be moved: %s", error)
            stop.wait(REST_S)

    def _delete_wrong_types(self) -> bool:
        """Deletes or renames keys of queues that do not hold a list.

        Returns whether there was such a key.
        """
        try:
            names = self._worker_registry.look().lists
            return delete_wrong_types(self._client, dict.fromkeys(names, "list"))
        except RedisError as error:
            logger.warning("keys that hold a wrong type can't be deleted: %s", error)
            return False

    def adopt(self) -> bool:
        """Moves the tasks of versions without workers to this worker's queue.

        If new messages go to another version, moves nothing and returns False. Otherwise returns
        True.
        """
        own, served = self._version(), self._worker_registry.look()
        if served.rollout is None or served.rollout.current != own:
            return False
        for version in served.gone - {own}:
            while moved := self._move(queue_of(version)):
                logger.warning("moved %d tasks from version %s to %s", moved, version, own)
                self._worker_registry.remember(version)
        self._worker_registry.forget(served.gone - {own})
        return True

    def _forward(self, stop: threading.Event) -> None:
        until = time.monotonic() + LOOK_S
        own = queue_of(self._version())
        while time.monotonic() < until and not stop.is_set():
            try:
                self._client.execute_command("BLMOVE", QUEUE, own, "RIGHT", "LEFT", WAIT_S)
            except OutOfMemoryError:  # a full Redis refuses this command, but not the script
                stop.wait(WAIT_S)
            self._move(QUEUE)

    def _move(self, queue: str) -> int:
        keys = [*lists(queue), *lists(queue_of(self._version()))]
        moved: Any = self._client.eval(_SCRIPT, len(keys), *keys, MAX_MOVED)
        return int(moved)
