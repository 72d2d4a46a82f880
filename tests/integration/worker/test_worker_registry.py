"""``WorkerRegistry`` knows which versions have lost their workers; their tasks are moved."""

from __future__ import annotations

import time

import pytest
from redis import RedisError

from celery_app.worker.forwarder import Forwarder
from tasks.messages import ALIVE_S, MODEL, VERSIONS
from tasks.rollout import (
    KEPT_S,
    PAUSE_S,
    ROLLOUT,
    Rollout,
    ServedVersions,
    WorkerRegistry,
    queue_of,
    workers_of,
)
from tests.parts import Stack

OLD, NEW = "vowels-1", "vowels-2"


def test_a_worker_that_starts_with_another_version_leaves_its_old_version(own: Stack) -> None:
    """This happens after a `kill -9` of all workers, and a start with another model."""
    worker_registry = WorkerRegistry(own.redis)
    worker_registry.sign("byline@one", OLD, b"{}", started=True)
    assert worker_registry.look() == (Rollout(OLD), {OLD: 1}, frozenset())
    worker_registry.sign("byline@one", NEW, b"{}", started=True)
    assert worker_registry.look() == (Rollout(NEW, previous=OLD), {OLD: 0, NEW: 1}, {OLD})


def test_a_silent_worker_counts_as_dead_only_when_redis_was_up_for_long_enough(own: Stack) -> None:
    now = [1000.0]
    WorkerRegistry(own.redis, lambda: now[0]).sign("byline@one", OLD, b"{}", started=True)
    now[0] += ALIVE_S + 1
    worker_registry = WorkerRegistry(own.redis, lambda: now[0])
    assert worker_registry.look() == (Rollout(OLD), {OLD: 0}, frozenset())
    worker_registry.sign("byline@two", NEW, b"{}", started=True)
    assert worker_registry.look().rollout == Rollout(OLD)
    now[0] += ALIVE_S - 1
    assert not worker_registry.look().gone
    now[0] += 2
    assert OLD in worker_registry.look().gone
    now[0] += 3 * ALIVE_S
    assert not worker_registry.look().gone, "the machine has slept, and nobody could sign"
    for _ in range(int((PAUSE_S + ALIVE_S) / (ALIVE_S - 1)) + 1):
        worker_registry.sign("byline@two", NEW, b"{}")
        assert worker_registry.look().rollout == Rollout(OLD), (
            "others may not have connected again yet"
        )
        now[0] += ALIVE_S - 1
    worker_registry.sign("byline@two", NEW, b"{}")
    assert worker_registry.look().rollout == Rollout(NEW, previous=OLD)


def test_a_version_is_forgotten_a_day_after_its_last_worker(own: Stack) -> None:
    now = [1000.0]
    worker_registry = WorkerRegistry(own.redis, lambda: now[0])

    def look_on(seconds: float) -> ServedVersions:
        now[0] += seconds
        for _ in range(8):  # so that the registry is sure which workers are dead
            now[0] += ALIVE_S - 1
            worker_registry.sign("byline@two", NEW, b"{}")
        return worker_registry.look()

    worker_registry.sign("byline@one", OLD, b"{}", started=True)
    worker_registry.change(lambda _: Rollout(OLD, set_by_operator=True))
    worker_registry.forget(look_on(KEPT_S - 1).gone)
    assert worker_registry.look().workers.keys() == {OLD, NEW}, "what is served is never forgotten"
    # Some clients have not noticed the change yet, and still send to the old version.
    worker_registry.change(lambda _: Rollout(NEW, previous=OLD, set_by_operator=True))
    worker_registry.forget(worker_registry.look().gone)
    assert worker_registry.look().workers == {OLD: 0, NEW: 1}
    worker_registry.forget(look_on(KEPT_S).gone)
    assert worker_registry.look().workers == {NEW: 1}
    assert not own.redis.exists(workers_of(OLD))


def test_a_task_that_is_given_back_to_an_old_version_is_moved_again(own: Stack) -> None:
    """Kombu gives a task back to its first queue, also after another worker took it over."""
    now = [1000.0]
    worker_registry = WorkerRegistry(own.redis, lambda: now[0])
    worker_registry.sign("byline@one", OLD, b"{}", started=True)
    now[0] += KEPT_S + 1
    worker_registry.sign_out("byline@one", OLD)
    worker_registry.sign("byline@two", NEW, b"{}", started=True)
    worker_registry.change(lambda _: Rollout(NEW, set_by_operator=True))
    forwarder = Forwarder(own.redis, lambda: NEW, worker_registry)
    for task in ("sent", "given back", "given back again"):
        own.redis.lpush(queue_of(OLD), task)
        assert forwarder.adopt()
        assert own.redis.llen(queue_of(OLD)) == 0
    assert own.redis.llen(queue_of(NEW)) == 3


def test_a_worker_that_can_not_register_in_a_full_redis_is_not_dead(own: Stack) -> None:
    now = [1000.0]
    worker_registry = WorkerRegistry(own.redis, lambda: now[0])
    forwarder = Forwarder(own.redis, lambda: NEW, worker_registry)
    worker_registry.sign("byline@one", OLD, b"{}", started=True)
    worker_registry.sign("byline@two", NEW, b"{}", started=True)
    worker_registry.change(lambda _: Rollout(NEW, set_by_operator=True))
    own.redis.lpush(queue_of(OLD), "task")
    own.redis.config_set("maxmemory", 1)
    for _ in range(5):  # Redis still allows reading
        now[0] += ALIVE_S - 1
        with pytest.raises(RedisError):
            worker_registry.sign("byline@two", NEW, b"{}")
        assert forwarder.adopt()
    own.redis.config_set("maxmemory", 0)
    assert forwarder.adopt()
    assert own.redis.llen(queue_of(OLD)) == 1


def test_a_living_worker_is_not_dead_after_an_outage_of_any_length(own: Stack) -> None:
    """The keys of the registry have no time to live, so that Redis never evicts them."""
    for node, version in (("byline@one", OLD), ("byline@two", NEW)):
        WorkerRegistry(own.redis).sign(node, version, b"{}", started=True)
    keys = [key for key in own.redis.keys("byline:*") if not key.startswith(MODEL.encode())]
    assert [key for key in keys if own.redis.ttl(key) != -1] == []


@pytest.mark.parametrize("nonsense", [b"nonsense", b'{"current": "\xff"}'])
def test_an_unreadable_rollout_is_written_anew(own: Stack, nonsense: bytes) -> None:
    own.redis.set(ROLLOUT, nonsense)
    own.redis.zadd(VERSIONS, {b"\xff": time.time()})
    worker_registry = WorkerRegistry(own.redis)
    assert worker_registry.look().rollout is None
    worker_registry.sign("byline@one", NEW, nonsense, started=True)
    assert worker_registry.look().rollout == Rollout(NEW)
    assert worker_registry.announcement(NEW) is None
