"""When a part is well: probes that answer yes or no, and a wait for them with a deadline."""

from __future__ import annotations

import time
import urllib.request
from base64 import b64encode
from collections.abc import Callable
from http.client import HTTPException

from redis import Redis, RedisError

from tasks.messages import WORKERS
from tasks.rollout import Register

Probe = Callable[[], bool]

#: Seconds a probe waits for an answer; a scrape of celery-exporter takes two.
ANSWER_S = 5.0
#: Seconds between two looks.
PAUSE_S = 0.1


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
    since, register = time.time(), Register(client)

    def probe() -> bool:
        try:
            if client.zcount(WORKERS, since, "+inf") < number:
                return False
            rollout, living, _ = register.look()
            return rollout is not None and (rollout.told or living[rollout.current] > 0)
        except RedisError:
            return False

    return probe


def unserved(register: Register) -> bool:
    """Is, as somebody said, a version to be served that no worker has?"""
    try:
        rollout, living, _ = register.look()
    except RedisError:
        return False
    return rollout is not None and rollout.told and not living[rollout.current]


def api(url: str, client: Redis) -> Probe:
    """Is the api ready, but for workers of a version that is to be served and is not here?"""
    ready, alive, register = page(f"{url}/readyz"), page(f"{url}/healthz"), Register(client)
    return lambda: ready() or (unserved(register) and alive())


def page(url: str, holding: str = "", login: str = "") -> Probe:
    """Does the page answer with status 200 and ``holding`` in its body?

    ``login`` is ``user:password`` where one is needed.
    """
    credentials = {"Authorization": f"Basic {b64encode(login.encode()).decode()}"} if login else {}
    request = urllib.request.Request(url, headers=credentials)

    def probe() -> bool:
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_S) as response:
                return holding in response.read().decode()
        except (OSError, HTTPException):
            return False

    return probe


def wait(probe: Probe, timeout_s: float, check: Callable[[], None]) -> bool:
    """Return whether ``probe`` said yes in time. What ``check`` raises ends the wait."""
    deadline = time.monotonic() + timeout_s
    while not probe():
        check()
        if time.monotonic() > deadline:
            return False
        time.sleep(PAUSE_S)
    return True
