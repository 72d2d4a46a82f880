"""Byline's result backend stores a result as Celery's own backend stores the result."""

from __future__ import annotations

import json
from contextlib import nullcontext
from typing import Any

import pytest
from celery import Celery
from celery.backends.redis import RedisBackend

from celery_app.app import make_celery
from celery_app.backend import CacheBackend
from celery_app.settings import Settings
from tests.parts import Stack

STATES = {"SUCCESS": ["a result"], "FAILURE": ValueError("wrong"), "RETRY": ValueError("later")}


@pytest.fixture
def app(own: Stack) -> Celery:
    return make_celery(Settings.from_environ({"BYLINE_REDIS_URL": own.env["BYLINE_REDIS_URL"]}))


def stored(own: Stack, backend: RedisBackend, state: str, gathered: bool) -> dict[str, Any]:
    """Stores a result. Returns its key, time to live and value. Subscribers get that value."""
    key = backend.get_key_for_task("task")
    with own.redis.pubsub() as watcher:
        watcher.subscribe(key)
        watcher.get_message(timeout=5)  # the confirmation of the subscription
        with backend.round_trip() if gathered else nullcontext():
            backend.store_result("task", STATES[state], state)
            assert own.redis.exists(key) == (not gathered)
        told = watcher.get_message(timeout=5)
    lives_s = own.redis.ttl(key)
    value = own.redis.getdel(key)
    assert told["data"] == value
    meta: dict[str, Any] = json.loads(value)
    meta["date_done"] = type(meta["date_done"]).__name__
    return {"key": key, "lives": round(lives_s / 10), **meta}


@pytest.mark.parametrize("gathered", [True, False])
@pytest.mark.parametrize("state", STATES)
def test_a_result_is_stored_as_celery_stores_it(
    own: Stack, app: Celery, state: str, gathered: bool
) -> None:
    url = own.env["BYLINE_REDIS_URL"]
    plain = stored(own, RedisBackend(app=app, url=url), state, gathered=False)
    ours = stored(own, CacheBackend(app=app, url=url), state, gathered)
    assert ours == plain
    assert (plain["status"], plain["lives"] > 0) == (state, True)
