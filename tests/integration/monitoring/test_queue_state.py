"""The monitor's view of a queue that Celery itself has filled."""

from __future__ import annotations

import time
from itertools import islice

import httpx
import pytest
from kombu.transport.redis import PRIORITY_STEPS, Channel
from redis import Redis

from celery_app.app import make_celery
from celery_app.settings import Settings
from monitoring.monitor.queue_state import QueueObserver
from tasks.messages import LONGEST_WAIT_S, QUEUE, SENT, TASK
from tasks.rollout import SEPARATOR, STEPS, lists
from tests.parts import Stack, free_port, wait_for

LISTS = lists(QUEUE)


def test_the_lists_have_kombus_names() -> None:
    assert tuple(PRIORITY_STEPS) == STEPS
    assert Channel.sep == SEPARATOR
    assert len(LISTS) == 4


def test_every_priority_is_counted_and_the_oldest_task_found(own: Stack) -> None:
    app = make_celery(Settings(redis_url=own.env["BYLINE_REDIS_URL"]))
    queue = QueueObserver(own.redis)
    assert queue.read()[:5] == (0, 0, 0.0, None, 0)
    for priority in (0, 3, 9):
        app.send_task(TASK, [["a text"]], priority=priority)
    state = queue.read()
    assert (state.ready, state.unacked) == (3, 0)
    # Only the api records when it sent a task. Other tasks age from their first observation.
    assert state.oldest_s < 1
    app.send_task(TASK, [["a text"]], priority=9, headers={SENT: time.time() - 100})
    own.redis.lpop(LISTS[3])  # an earlier task in this list would be taken first
    own.redis.lpush(LISTS[2], b"no task")
    app.send_task(TASK, [["a text"]], priority=6, headers={SENT: time.time() - 100})
    assert queue.read().oldest_s < 50  # the task is not at the head of its list
    own.redis.rpop(LISTS[2])
    assert 99 < queue.read().oldest_s < 110
    app.close()


def test_the_age_of_a_client_s_task_counts_from_its_first_observation(own: Stack) -> None:
    """In this queue each task waits long, but is at the head only for a short time."""
    app = make_celery(Settings(redis_url=own.env["BYLINE_REDIS_URL"]))
    now = [1000.0]
    queue = QueueObserver(own.redis, lambda: now[0])
    texts = (f"a text, {number}" for number in range(1000))

    def step(sent: int, taken: int) -> float:
        """Sends and takes tasks in two seconds. Returns the age of the oldest task."""
        now[0] += 2
        for text in islice(texts, sent):
            app.send_task(TASK, [[text]])
        own.redis.rpop(LISTS[0], taken)
        return queue.read().oldest_s

    def age() -> float:
        """Returns the expected age: at 5 tasks in 2 s, a list of 25 tasks is 10 s old."""
        return int(own.redis.llen(LISTS[0])) / 5 * 2

    for _ in range(10):
        step(5, 0)
    for _ in range(30):
        assert step(5, 5) == pytest.approx(age(), abs=4), "as many come as go"
    before = queue.read().oldest_s
    for _ in range(20):
        assert step(5, 4) == pytest.approx(age(), rel=0.25, abs=4), "more come than go"
    assert queue.read().oldest_s > before + 5
    assert step(0, 1000) == 0.0
    assert step(1, 0) == 0.0, "what came before is forgotten"
    app.close()


@pytest.mark.parametrize(
    "head",
    [b"{", b"\xff", b"[" * 100_000, b"[]", b'{"headers": 1}', b'{"headers": {"id": "\xff"}}'],
)
def test_a_value_that_is_no_task_has_no_age(own: Stack, head: bytes) -> None:
    own.redis.lpush(LISTS[0], head)
    assert QueueObserver(own.redis).read()[:3] == (1, 0, 0.0)


@pytest.mark.parametrize("sent", ["-1e308", "1e308", "NaN", "-Infinity", '"x"', "null", "[]"])
def test_an_impossible_sending_time_is_ignored(own: Stack, sent: str) -> None:
    own.redis.lpush(LISTS[0], f'{{"headers": {{"id": "x", "{SENT}": {sent}}}}}')
    assert 0 <= QueueObserver(own.redis).read().oldest_s <= LONGEST_WAIT_S


def test_dead_letters_are_counted_on_the_server_of_the_cache(own: Stack) -> None:
    cache, port = free_port(), free_port()
    own.valkey(cache, "cache")
    Redis(port=cache).hset("byline:dead_letters", "an id", "a message")
    url = f"redis://127.0.0.1:{cache}/0"
    own.monitor(BYLINE_CACHE_URL=url, BYLINE_MONITOR_PORT=str(port))

    def counted() -> bool:
        page = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=5).text
        return "byline_dead_letters 1.0" in page

    wait_for(counted, 10, "the count")


def test_the_tasks_that_a_worker_holds_are_counted(own: Stack) -> None:
    own.worker(TEST_MODEL_SECONDS="3")
    app = make_celery(Settings(redis_url=own.env["BYLINE_REDIS_URL"]))
    queue = QueueObserver(own.redis)
    app.send_task(TASK, [["a text"]])
    wait_for(lambda: queue.read().unacked == 1, 10, "the worker")
    assert (queue.read().ready, queue.read().workers) == (0, 1)
    wait_for(lambda: queue.read().unacked == 0, 10, "the batch")
    app.close()
