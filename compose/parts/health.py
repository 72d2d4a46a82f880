"""When a part is well: probes that answer yes or no, asked in threads of their own."""

from __future__ import annotations

import threading
import time
import urllib.request
from base64 import b64encode
from collections.abc import Callable
from http.client import HTTPException

from redis import Redis, RedisError

from compose.parts.errors import CannotRun
from compose.probe import DIRECT
from monitoring.instruments import background
from tasks.messages import WORKERS
from tasks.rollout import WorkerRegistry

Probe = Callable[[], bool]

#: Seconds a probe waits for an answer; a scrape of celery-exporter takes two.
ANSWER_S = 5.0
#: Seconds between two looks.
PAUSE_S = 0.1


class Waiting:
    """Asks a probe, in a thread, until the answer is yes. The probe may hang meanwhile.

    Raises:
        CannotRun: there is no room for a thread.
    """

    def __init__(self, probe: Probe) -> None:
        self._probe = probe
        self.well, self._over = threading.Event(), threading.Event()
        try:
            background.start(self._ask, "A look at a part", self._over)
        except RuntimeError as error:
            raise CannotRun(f"{error}: see to the limit on processes, `ulimit -u`") from None

    def _ask(self) -> None:
        if self._probe():
            self.well.set()
            self._over.set()
        self._over.wait(PAUSE_S)

    def end(self) -> None:
        """Asks no more."""
        self._over.set()


def redis(url: str) -> Probe:
    """Does the Redis there answer, and has it loaded what it had kept?"""
    client = Redis.from_url(url, socket_timeout=ANSWER_S)

    def probe() -> bool:
        try:
            return bool(client.ping())
        except RedisError:
            return False

    return probe


def workers(client: Redis, number: int) -> Probe:
    """Have so many workers signed in after this moment? Those of an earlier run stay listed.

    And what they serve is served, unless somebody has said that it is not to be.
    """
    since, worker_registry = time.time(), WorkerRegistry(client)

    def probe() -> bool:
        try:
            if client.zcount(WORKERS, since, "+inf") < number:
                return False
            rollout, living, _ = worker_registry.look()
            return rollout is not None and (rollout.told or living[rollout.current] > 0)
        except RedisError:
            return False

    return probe


def api(url: str, client: Redis) -> Probe:
    """Is the api ready? Alive is enough where no worker here has the version to be served."""
    ready, alive, worker_registry = (
        page(f"{url}/readyz"),
        page(f"{url}/healthz"),
        WorkerRegistry(client),
    )

    def unserved() -> bool:
        try:
            rollout, living, _ = worker_registry.look()
        except RedisError:
            return False
        return rollout is not None and rollout.told and not living[rollout.current]

    return lambda: ready() or (unserved() and alive())


def page(url: str, holding: str = "", login: str = "") -> Probe:
    """Does the page answer with status 200 and ``holding`` in its body?

    ``login`` is ``user:password`` where one is needed.
    """
    credentials = {"Authorization": f"Basic {b64encode(login.encode()).decode()}"} if login else {}
    request = urllib.request.Request(url, headers=credentials)

    def probe() -> bool:
        try:
            with DIRECT.open(request, timeout=ANSWER_S) as response:
                return holding in response.read().decode()
        except (OSError, HTTPException, ValueError):
            return False

    return probe
