"""The queue as the monitor sees it, as Celery itself has filled it."""

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


def test_the_lists_are_kombus() -> None:
    assert tuple(PRIORITY_STEPS) == STEPS
    assert Channel.sep == SEPARATOR
    assert len(LISTS) == 4


def test_every_priority_is_counted_and_the_oldest_found(own: Stack) -> None:
    app = make_celery(Settings(redis_url=own.env["BYLINE_REDIS_URL"]))
    queue = QueueObserver(own.redis)
    assert queue.look()[:5] == (0, 0, 0.0, None, 0)
    for priority in (0, 3, 9):
        app.send_task(TASK, [["a text"]], priority=priority)
    state = queue.look()
    assert (state.ready, state.unacked) == (3, 0)
    # No client but the api says when it sent a task: it is as old as it has been seen.
    assert state.oldest_s < 1
    app.send_task(TASK, [["a text"]], priority=9, headers={SENT: time.time() - 100})
    own.redis.lpop(LISTS[3])  # what came before it in the list would be taken first
    own.redis.lpush(LISTS[2], b"no task")
    app.send_task(TASK, [["a text"]], priority=6, headers={SENT: time.time() - 100})
    assert queue.look().oldest_s < 50  # it is not at the head of its list
    own.redis.rpop(LISTS[2])
    assert 99 < queue.look().oldest_s < 110
    app.close()


def test_the_age_of_what_clients_sent_is_what_has_been_seen_of_it(own: Stack) -> None:
    """A queue in which nothing stays at the head for long, and all has waited for long."""
    app = make_celery(Settings(redis_url=own.env["BYLINE_REDIS_URL"]))
    now = [1000.0]
    queue = QueueObserver(own.redis, lambda: now[0])
    texts = (f"a text, {number}" for number in range(1000))

    def step(sent: int, taken: int) -> float:
        """Two seconds in which tasks are sent, and taken; return the age of the oldest."""
        now[0] += 2
        for text in islice(texts, sent):
            app.send_task(TASK, [[text]])
        own.redis.rpop(LISTS[0], taken)
        return queue.look().oldest_s

    def age() -> float:
        """As the list has it: 10 s at 5 tasks in 2 s are 25 tasks."""
        return int(own.redis.llen(LISTS[0])) / 5 * 2

    for _ in range(10):
        step(5, 0)
    for _ in range(30):
        assert step(5, 5) == pytest.approx(age(), abs=4), "as many come as go"
    before = queue.look().oldest_s
    for _ in range(20):
        assert step(5, 4) == pytest.approx(age(), rel=0.25, abs=4), "more come than go"
    assert queue.look().oldest_s > before + 5
    assert step(0, 1000) == 0.0
    assert step(1, 0) == 0.0, "what came before is forgotten"
    app.close()


@pytest.mark.parametrize(
    "head",
    [b"{", b"\xff", b"[" * 100_000, b"[]", b'{"headers": 1}', b'{"headers": {"id": "\xff"}}'],
)
def test_what_is_no_task_has_no_age(own: Stack, head: bytes) -> None:
    own.redis.lpush(LISTS[0], head)
    assert QueueObserver(own.redis).look()[:3] == (1, 0, 0.0)


@pytest.mark.parametrize("sent", ["-1e308", "1e308", "NaN", "-Infinity", '"x"', "null", "[]"])
def test_a_time_that_can_not_be_is_not_believed(own: Stack, sent: str) -> None:
    own.redis.lpush(LISTS[0], f'{{"headers": {{"id": "x", "{SENT}": {sent}}}}}')
    assert 0 <= QueueObserver(own.redis).look().oldest_s <= LONGEST_WAIT_S


def test_dead_letters_are_counted_where_attributions_are(own: Stack) -> None:
    cache, port = free_port(), free_port()
    own.valkey(cache, "cache")
    Redis(port=cache).hset("byline:dead_letters", "an id", "a message")
    url = f"redis://127.0.0.1:{cache}/0"
    own.monitor(BYLINE_CACHE_URL=url, BYLINE_MONITOR_PORT=str(port))

    def counted() -> bool:
        page = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=5).text
        return "byline_dead_letters 1.0" in page

    wait_for(counted, 10, "the count")


def test_what_a_worker_holds_is_counted(own: Stack) -> None:
    own.worker(TEST_MODEL_SECONDS="3")
    app = make_celery(Settings(redis_url=own.env["BYLINE_REDIS_URL"]))
    queue = QueueObserver(own.redis)
    app.send_task(TASK, [["a text"]])
    wait_for(lambda: queue.look().unacked == 1, 10, "the worker")
    assert (queue.look().ready, queue.look().workers) == (0, 1)
    wait_for(lambda: queue.look().unacked == 0, 10, "the batch")
    app.close()
