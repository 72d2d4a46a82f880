"""Byline refuses new messages before Redis is full, and computes the queued messages."""

from __future__ import annotations

import math
import signal
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
from celery import Celery
from redis import Redis, ResponseError
from redis.exceptions import OutOfMemoryError

from celery_app.app import make_celery
from celery_app.client.redis.queue_capacity import QueueCapacity
from celery_app.client.redis.task_packer import Packed, TaskPacker
from celery_app.settings import Settings
from tasks.errors import Overloaded
from tasks.messages import UNACKED
from tasks.rollout import queue_of
from tasks.storage import queue_memory
from tasks.storage.dead_letters import DeadLetters
from tasks.storage.full_redis import Client
from tasks.storage.pending_results import PROMISES
from tasks.storage.queue_memory import QueueMemory
from tests.parts import Stack, wait_for

VERSION = "vowels-1"
MB = 2**20
#: Log lines of a worker that must connect again.
LOST = ("Connection to broker lost", "consumer: Cannot connect")


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Returns the port of a Redis that has no free memory."""
    stack = Stack(tmp_path_factory.mktemp("full"))
    try:
        stack.valkey()
        stack.redis.hset("hash", "field", "value")
        stack.redis.config_set("maxmemory", 1)
        yield stack.redis_port
    finally:
        stack.close()


@pytest.fixture
def full(port: int) -> Iterator[Client]:
    with Redis(port=port) as plain, Client(port=port) as client:
        with pytest.raises(OutOfMemoryError):
            plain.set("key", "value")
        client.delete("key", "list")
        yield client


def test_a_command_that_was_refused_is_sent_again(full: Client) -> None:
    assert full.set("key", "value") is True
    assert full.set("key", "other", nx=True) is None
    assert full.lpush("list", "a") == 1
    assert full.eval("return redis.call('SET', KEYS[1], ARGV[1])", 1, "key", "scripted")
    assert full.get("key") == b"scripted"
    registered = full.register_script("return redis.call('SET', KEYS[1], 'registered')")
    assert registered(keys=["key"])
    assert full.get("key") == b"registered"
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        full.lpush("hash", "a")


def test_a_blocking_command_is_refused_as_before(full: Client) -> None:
    with pytest.raises(OutOfMemoryError):
        full.execute_command("BLMOVE", "none", "list", "RIGHT", "RIGHT", 0.01)


def test_a_redis_without_such_scripts_refuses_as_before(
    full: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.storage.full_redis._ALLOW", "# no Lua\n")
    with pytest.raises(OutOfMemoryError):
        full.eval("return redis.call('SET', KEYS[1], 1)", 1, "key")


def test_a_pipeline_with_a_refused_command_runs_in_its_order(full: Client) -> None:
    with full.pipeline(transaction=False) as pipe:
        pipe.lpush("list", "a")
        pipe.expire("list", 60)
        pipe.hget("hash", "field")
        assert pipe.execute() == [1, 1, b"value"]
    assert full.ttl("list") > 0


def test_a_refused_transaction_runs_once_and_as_a_whole(full: Client) -> None:
    looked = []

    def move(pipe: Any) -> None:
        looked.append(pipe.hget("hash", "field"))
        pipe.multi()
        pipe.lpush("list", looked[-1])
        pipe.expire("list", 60)

    assert full.transaction(move, "hash") == [1, 1]
    assert looked == [b"value"] * 2  # called twice, and Redis watches the key each time
    assert full.lrange("list", 0, -1) == [b"value"]
    with full.pipeline() as pipe:
        pipe.rpush("list", "last")
        pipe.eval("return redis.call('SET', KEYS[1], 1)", 1, "key")
        assert pipe.execute() == [2, b"OK"]


def test_the_memory_of_the_queue_is_the_memory_of_tasks_and_pending_results(own: Stack) -> None:
    lists = ["attributions", "attributions.v1"]
    assert queue_memory.look(own.redis, lists) == QueueMemory(0, math.inf, 0)
    own.redis.config_set("maxmemory", 100 * MB)
    own.redis.lpush(lists[1], *([b"x" * 100_000] * 10))
    own.redis.lpush(lists[1], *([b"small"] * 100))
    own.redis.hset(UNACKED, mapping={str(n): b"x" * 10_000 for n in range(100)})
    own.redis.zadd(PROMISES, {str(n): n for n in range(1000)})
    own.redis.set("byline:result:1", b"x" * MB, ex=60)
    found = queue_memory.look(own.redis, lists)
    assert found.used == pytest.approx(3 * MB, rel=0.2)
    assert (found.room, found.pending_results) == (50 * MB, 1000)
    own.redis.set("attributions", "no list")
    assert queue_memory.look(own.redis, lists).used == pytest.approx(found.used, rel=0.01)


def test_chunks_in_flight_count_between_two_checks_of_the_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    room = QueueCapacity(50_000)
    room.take("huge", 10**12)  # without a limit, any size is accepted
    room.free("huge")
    room.record(QueueMemory(30, 100.0, 0), room.in_flight_bytes)
    room.take("1", 60)
    in_flight_bytes = room.in_flight_bytes
    room.take("2", 10)
    with pytest.raises(Overloaded):
        room.take("3", 1)
    room.record(QueueMemory(90, 100.0, 0), in_flight_bytes)  # "2" was sent during the check
    room.check()
    with pytest.raises(Overloaded):
        room.take("3", 1)
    monkeypatch.setattr("celery_app.client.redis.queue_capacity.SHOWN_S", 0.0)
    assert room.state == "ok"
    monkeypatch.undo()
    room.free("1")
    for number in range(100):  # answered chunks take no capacity, however many there are
        room.take(f"and {number}", 60)
        room.free(f"and {number}")
    room.free("unknown")
    assert room.in_flight_bytes == 10
    room.record(QueueMemory(101, 100.0, 0), room.in_flight_bytes)
    assert room.state.startswith("full: ")
    room.record(QueueMemory(10, 100.0, 0), 10)
    monkeypatch.setattr("celery_app.client.redis.queue_capacity.FORGET_S", 0.0)
    room.take("last", 5)  # "2" was never answered
    assert room.in_flight_bytes == 5


def test_pending_results_have_at_most_a_part_of_the_memory() -> None:
    room = QueueCapacity(50_000)
    assert room.pending_results == 50_000
    room.record(QueueMemory(0, 16.0 * MB, 0), 0)
    assert room.pending_results == 8 * 1024


def app_of(stack: Stack) -> Celery:
    return make_celery(Settings.from_environ({"BYLINE_REDIS_URL": stack.env["BYLINE_REDIS_URL"]}))


def task(task_packer: TaskPacker, text: str) -> Packed:
    return task_packer.pack(queue_of(VERSION), str(uuid4()), [text], {"version": VERSION}, 0)


def accepted_until_full(stack: Stack) -> set[str]:
    """Sends long messages until one is refused. Returns the ids of the accepted messages."""
    ids: set[str] = set()
    for number in range(1000):
        texts = [f"{number} {place} {'long ' * 2400}" for place in range(20)]
        sent = stack.attribute({"messages": [{"text": text} for text in texts]}, wait=0).json()
        items = sent["attributions"]
        ids |= {item["id"] for item in items if "id" in item}
        if refused := {item["error"]["code"] for item in items if "error" in item}:
            assert refused == {"overloaded"}
            return ids
    raise AssertionError("nothing was refused")


def fill(stack: Stack, task_packer: TaskPacker) -> None:
    """Puts tasks on the queue until Redis refuses a task. Raises Redis' error."""
    for number in range(10_000):
        stack.redis.lpush(*task(task_packer, f"another's {number} {'long ' * 2400}"))


def test_messages_are_refused_before_redis_is_full_and_the_queue_is_computed(own: Stack) -> None:
    own.redis.config_set("maxmemory-policy", "volatile-lru")
    worker = own.worker()
    limit = int(own.redis.info("memory")["used_memory"]) + 10 * MB
    own.redis.config_set("maxmemory", limit)
    own.api()  # started last, so that it knows the limit from the beginning
    assert own.attribute({"text": "known"}).status_code == 200
    worker.process.send_signal(signal.SIGSTOP)
    ids = accepted_until_full(own)
    assert len(ids) > 100
    assert own.redis.info("memory")["used_memory"] < limit - MB
    # Other clients do not know the limit, and go on sending.
    task_packer = TaskPacker(app_of(own), "byline:replies:nobody")
    for number in range(40):
        own.redis.lpush(*task(task_packer, f"beyond it {number} {'long ' * 2400}"))
    wait_for(lambda: ready(own)["queue"].startswith("full: "))
    assert httpx.get(f"{own.url}/readyz").status_code == 503
    new = ({"text": f"new {number}"} for number in range(1000))
    refused = wait_for(lambda: (r := own.attribute(next(new), wait=0)).status_code == 503 and r)
    assert refused.json()["code"] == "overloaded"
    assert int(refused.headers["Retry-After"]) > 0
    assert own.attribute({"text": "known"}).status_code == 200
    with pytest.raises(OutOfMemoryError):
        fill(own, task_packer)
    own.redis.config_set("maxmemory", limit // 2)
    worker.kill()
    worker = own.worker(name="two")
    wait_for(lambda: own.held() == 0, 60, "the queue to be empty")
    with httpx.Client(base_url=own.url) as client:
        found = {id: client.get(f"/v1/attributions/{id}").status_code for id in ids}
    assert set(found.values()) == {200}
    wait_for(lambda: httpx.get(f"{own.url}/readyz").status_code == 200)
    # Redis may have evicted replies that the api still awaits. New messages are pending then.
    answer = own.attribute(next(new)).json()
    where = f"{own.url}/v1/attributions/{answer['id']}"
    wait_for(lambda: httpx.get(where).status_code == 200)
    assert not any(words in worker.output for words in LOST)


def test_a_worker_works_while_redis_has_no_memory(own: Stack) -> None:
    app = app_of(own)
    task_packer = TaskPacker(app, "byline:replies:nobody")
    sent = app.send_task("byline.attribute", [["Celery's"]])
    own.redis.config_set("maxmemory", 1)
    worker = own.worker()
    assert sent.get(timeout=20)[0]["author"]
    with Client(port=own.redis_port) as client:
        client.lpush("attributions", b"no task")
        client.lpush(*task(task_packer, "from the api"))
    wait_for(lambda: "from the api" in own.calls(), what="the forward pass")
    wait_for(lambda: own.held() == 0, what="the queue to be empty")
    wait_for(lambda: len(DeadLetters(own.redis).all()) == 1, what="the dead letter")
    assert not any(words in worker.output for words in LOST)


def ready(stack: Stack) -> dict[str, str]:
    """Returns the state of each part, from ``/readyz``."""
    return dict(httpx.get(f"{stack.url}/readyz").json()["parts"])
