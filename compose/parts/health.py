"""Health checks of the parts of ``make run``: probes, and threads that call the probes.

A probe is a function without parameters that returns whether a part is healthy.
"""

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

#: A function that returns whether a part is healthy.
Probe = Callable[[], bool]

#: Seconds that a probe waits for an answer. A scrape of celery-exporter takes two seconds.
ANSWER_S = 5.0
#: Seconds between two calls of a probe.
PAUSE_S = 0.1


class HealthThread:
    """A thread that calls a probe until the probe returns True.

    A probe that hangs blocks only this thread.

    Raises:
        CannotRun: the system can't start a thread.
    """

    def __init__(self, probe: Probe) -> None:
        self._probe = probe
        self.healthy, self._over = threading.Event(), threading.Event()
        try:
            background.start(self._ask, "A look at a part", self._over)
        except RuntimeError as error:
            raise CannotRun(f"{error}: see to the limit on processes, `ulimit -u`") from None

    def _ask(self) -> None:
        if self._probe():
            self.healthy.set()
            self._over.set()
        self._over.wait(PAUSE_S)

    def end(self) -> None:
        """Stops calling the probe."""
        self._over.set()


def redis(url: str) -> Probe:
    """Returns a probe, a function that returns whether the Redis at ``url`` is ready.

    Redis is ready if it answers and has loaded its data.
    """
    client = Redis.from_url(url, socket_timeout=ANSWER_S)

    def probe() -> bool:
        try:
            return bool(client.ping())
        except RedisError:
            return False

    return probe


def workers(client: Redis, number: int) -> Probe:
    """Returns a probe that checks whether ``number`` workers have registered since this call.

    At least one worker must have the model version to serve. If an operator has chosen this
    version, the probe does not ask for such a worker.
    """
    # Workers of an earlier run stay listed for a while. So only later registrations count.
    since, worker_registry = time.time(), WorkerRegistry(client)

    def probe() -> bool:
        try:
            if client.zcount(WORKERS, since, "+inf") < number:
                return False
            rollout, living, _ = worker_registry.look()
            return rollout is not None and (rollout.set_by_operator or living[rollout.current] > 0)
        except RedisError:
            return False

    return probe


def api(url: str, client: Redis) -> Probe:
    """Returns a probe that checks whether the api at ``url`` is ready.

    The probe asks ``/readyz``. If an operator has chosen a model version that no worker has, the
    api can't be ready. In this case, the probe only asks whether the api lives: ``/healthz``.
    """
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
        return rollout is not None and rollout.set_by_operator and not living[rollout.current]

    return lambda: ready() or (unserved() and alive())


def page(url: str, holding: str = "", login: str = "") -> Probe:
    """Returns a probe that checks whether ``url`` answers with success and with text ``holding``.

    ``login`` is ``user:password`` if the page needs a login.
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
