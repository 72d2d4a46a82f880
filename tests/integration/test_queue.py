"""The queue as the monitor sees it, as Celery itself has filled it."""

from __future__ import annotations

import time

import pytest
from kombu.transport.redis import PRIORITY_STEPS, Channel

from celery_app.app import make_celery
from celery_app.settings import Settings
from monitoring.queue import LISTS, SEPARATOR, STEPS, Queue
from tasks.messages import LONGEST_WAIT_S, SENT, TASK
from tests.parts import Stack, wait_for


def test_the_lists_are_kombus() -> None:
    assert tuple(PRIORITY_STEPS) == STEPS
    assert Channel.sep == SEPARATOR
    assert len(LISTS) == 4


def test_every_priority_is_counted_and_the_oldest_found(own: Stack) -> None:
    app = make_celery(Settings(redis_url=own.env["BYLINE_REDIS_URL"]))
    queue = Queue(own.redis)
    assert queue.look() == (0, 0, 0.0, 0, 0)
    for priority in (0, 3, 9):
        app.send_task(TASK, [["a text"]], priority=priority)
    own.redis.hset("byline:dead_letters", "an id", "a message")
    state = queue.look()
    assert (state.ready, state.unacked, state.dead_letters) == (3, 0, 1)
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


@pytest.mark.parametrize(
    "head",
    [b"{", b"\xff", b"[" * 100_000, b"[]", b'{"headers": 1}', b'{"headers": {"id": "\xff"}}'],
)
def test_what_is_no_task_has_no_age(own: Stack, head: bytes) -> None:
    own.redis.lpush(LISTS[0], head)
    assert Queue(own.redis).look()[:3] == (1, 0, 0.0)


@pytest.mark.parametrize("sent", ["-1e308", "1e308", "NaN", "-Infinity", '"x"', "null", "[]"])
def test_a_time_that_can_not_be_is_not_believed(own: Stack, sent: str) -> None:
    own.redis.lpush(LISTS[0], f'{{"headers": {{"id": "x", "{SENT}": {sent}}}}}')
    assert 0 <= Queue(own.redis).look().oldest_s <= LONGEST_WAIT_S


def test_what_a_worker_holds_is_counted(own: Stack) -> None:
    own.worker(TEST_MODEL_SECONDS="3")
    app = make_celery(Settings(redis_url=own.env["BYLINE_REDIS_URL"]))
    queue = Queue(own.redis)
    app.send_task(TASK, [["a text"]])
    wait_for(lambda: queue.look().unacked == 1, 10, "the worker")
    assert (queue.look().ready, queue.look().workers) == (0, 1)
    wait_for(lambda: queue.look().unacked == 0, 10, "the batch")
    app.close()
