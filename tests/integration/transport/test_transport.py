"""Byline's transport brings tasks from Redis to a worker, as kombu's own transport does."""

from __future__ import annotations

import contextlib
import json
import signal
import time

import pytest
import redis
from kombu import Consumer, Queue
from kombu.common import ignore_errors

from celery_app.transport import channel
from celery_app.transport.channel import WAIT_S
from celery_app.transport.claim import CLAIM, LATER_FIRST
from tasks.messages import ORPHANED
from tests.integration.transport.consumer import KOMBUS, OURS, QUEUE, noted
from tests.parts import Stack


def test_a_taken_task_is_recorded_as_kombu_records_it(own: Stack, start, send) -> None:
    entries = []
    for transport in (OURS, KOMBUS):
        send('quotes " and \\ and ä and \u0000')
        worker = start(transport)
        [taken] = worker.take(1) and worker.taken
        [[message, exchange, route]] = noted(own.redis)
        tag = taken.delivery_tag
        assert message["properties"]["delivery_tag"] == tag
        assert own.redis.zscore("unacked_index", tag) == pytest.approx(time.time(), abs=5)
        del message["properties"]["delivery_tag"]
        entries.append((message, exchange, route))
        taken.ack()
        worker.connection.close()
        assert own.redis.hlen("unacked") == own.redis.zcard("unacked_index") == 0
    assert entries[0] == entries[1]


@pytest.mark.parametrize("heirs", [OURS, KOMBUS])
def test_a_task_that_is_never_acknowledged_is_delivered_again(start, send, heirs: str) -> None:
    send("orphan")
    dead = start(OURS)
    assert dead.take(1) == ["orphan"]
    heir = start(heirs)
    assert heir.take(1) == ["orphan"]  # after the visibility timeout, by kombu's sweep
    assert heir.taken[0].headers["redelivered"] or heir.taken[0].delivery_info["redelivered"]
    heir.taken[0].ack()
    heir.connection.close()


def test_a_task_with_a_refreshed_timeout_is_not_delivered_again(start, send) -> None:
    send("long work")
    worker, other = start(OURS), start(OURS)
    worker.take(1)
    until = time.monotonic() + 2.5  # the visibility timeout is a second
    while time.monotonic() < until:
        worker.channel.qos.touch()
        with contextlib.suppress(TimeoutError):
            other.connection.drain_events(timeout=0.2)
    assert not other.taken
    assert other.take(1) == ["long work"]  # not touched any more
    worker.channel.qos.touch()
    assert other.taken[0].headers[ORPHANED] is True


def test_a_task_that_was_given_back_is_not_marked_as_orphaned(start, send) -> None:
    send("given back")
    worker = start(OURS)
    worker.take(1)
    worker.taken[0].reject(requeue=True)
    worker.take(2)
    assert ORPHANED not in worker.taken[1].headers


def test_tasks_come_in_order_of_priority_and_without_delay(start, send) -> None:
    for priority in (9, 3, 0, 6, 0):
        send(str(priority), priority)
    worker = start(OURS)
    assert worker.take(5) == ["0", "0", "3", "6", "9"]
    send("9 again", 9)
    started = time.monotonic()
    worker.take(6)
    assert time.monotonic() - started < WAIT_S + 1  # a second more for a busy machine


def test_task_of_low_priority_that_follows_another_waits_only_shortly(
    start, send, monkeypatch: pytest.MonkeyPatch
) -> None:
    send("first", 9)
    worker = start(OURS)
    worker.take(1)
    monkeypatch.setattr(channel, "WAIT_S", 60)  # longer than `take` waits
    monkeypatch.setattr(channel, "SHORT_FOR_S", 60)
    with pytest.raises(TimeoutError):  # the worker waits for a task of the highest priority
        worker.connection.drain_events(timeout=0.3)
    send("second", 9)
    assert worker.take(2) == ["first", "second"]


def test_tasks_of_low_priority_come_from_a_queue_that_is_never_empty(start, send) -> None:
    for priority in (9, 3):
        send(f"later {priority}", priority)
    for number in range(4 * LATER_FIRST * CLAIM):
        send(str(number))
    worker = start(OURS, prefetch=1000)
    taken = worker.take(3 * LATER_FIRST * CLAIM)
    assert {"later 3", "later 9"} <= set(taken)


def test_no_more_tasks_are_taken_than_the_prefetch_limit(own: Stack, start, send) -> None:
    for number in range(2 * CLAIM):
        send(str(number))
    worker = start(OURS, prefetch=CLAIM + 1)
    worker.take(CLAIM + 1)
    with pytest.raises(TimeoutError):
        worker.connection.drain_events(timeout=0.3)
    assert own.redis.llen("tasks") == CLAIM - 1
    worker.taken[0].ack()
    worker.take(CLAIM + 2)
    assert own.redis.hlen("unacked") == CLAIM + 1


def test_a_worker_that_disconnects_gives_back_its_tasks(own: Stack, start, send) -> None:
    for number in range(3):
        send(str(number))
    worker = start(OURS)
    worker.take(3)
    worker.taken[1].ack()
    worker.connection.close()
    assert own.redis.hlen("unacked") == 0
    heir = start(OURS)
    assert sorted(heir.take(2)) == ["0", "2"]


def test_a_lost_connection_is_closed_while_a_task_is_held_and_a_claim_is_in_flight(
    own: Stack, start, send
) -> None:
    """Celery closes it twice. An error other than a connection error would end the worker."""
    send("held")
    worker = start(OURS, socket_timeout=0.1)
    worker.take(1)
    Consumer(worker.connection.channel(), [Queue("other")]).consume()
    server = own.parts[0]
    server.process.send_signal(signal.SIGSTOP)
    with contextlib.suppress(TimeoutError, redis.TimeoutError):
        worker.connection.drain_events(timeout=2 * WAIT_S)
    server.kill()
    worker.connection.collect(socket_timeout=1)
    ignore_errors(worker.connection, worker.connection.close)
    with pytest.raises(worker.connection.connection_errors, match="is closed"):
        worker.taken[0].reject(requeue=True)


def test_get_takes_one_task(own: Stack, start, send) -> None:
    send("first")
    send("second")
    worker = start(OURS)
    worker.consumer.cancel()
    message = QUEUE(worker.channel).get()
    assert message.payload == "first"
    assert own.redis.hlen("unacked") == 1
    message.ack()
    worker.connection.close()
    assert own.redis.hlen("unacked") == 0


@pytest.mark.parametrize("priority", [0, 3, 9])
@pytest.mark.parametrize("odd", ["half a pair in a header", "another queue's", "an exchange's"])
def test_a_task_that_is_given_back_goes_to_its_former_list(
    own: Stack, start, send, odd: str, priority: int
) -> None:
    """The task can't be read by cjson, is of another queue, or was sent to an exchange."""
    send("given back", priority)
    [name] = own.redis.keys("tasks*")
    message = json.loads(own.redis.rpop(name))
    if odd.startswith("half"):
        message["headers"]["odd"] = "\ud83d"
    elif odd.startswith("another"):
        message["properties"]["delivery_info"]["routing_key"] = "tas.of-before"
    else:
        message["properties"]["delivery_info"]["exchange"] = "some exchange"
    own.redis.lpush(name, json.dumps(message))
    first = start(OURS)
    assert first.take(1) == ["given back"]
    first.connection.close()
    assert own.redis.llen(name) == 1, own.redis.keys()
    assert own.redis.hlen("unacked") == own.redis.zcard("unacked_index") == 0
    assert start(OURS).take(1) == ["given back"]


def test_a_key_of_another_application_is_kept_under_another_name(own: Stack, start, send) -> None:
    worker = start(OURS)
    own.redis.hset("tasks", "what", "another application keeps")
    worker.channel.qos.mend()
    assert own.redis.hgetall("byline:wrong_type:tasks") == {b"what": b"another application keeps"}
    send("as ever")
    assert worker.take(1) == ["as ever"]
