"""Tasks on their way from Redis to a worker: Byline's transport beside kombu's own."""

from __future__ import annotations

import contextlib
import json
import time

import pytest

from celery_app.transport.channel import WAIT_S
from celery_app.transport.claim import CLAIM, LATER_FIRST
from tasks.messages import ORPHANED
from tests.integration.transport.consumer import KOMBUS, OURS, QUEUE, noted
from tests.parts import Stack


def test_what_is_taken_is_noted_as_kombu_notes_it(own: Stack, start, send) -> None:
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
def test_what_was_taken_and_never_acknowledged_is_delivered_again(start, send, heirs: str) -> None:
    send("orphan")
    dead = start(OURS)
    assert dead.take(1) == ["orphan"]
    heir = start(heirs)
    assert heir.take(1) == ["orphan"]  # after the visibility timeout, by kombu's sweep
    assert heir.taken[0].headers["redelivered"] or heir.taken[0].delivery_info["redelivered"]
    heir.taken[0].ack()
    heir.connection.close()


def test_what_is_seen_to_stays_here(start, send) -> None:
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


def test_what_is_given_back_was_no_death(start, send) -> None:
    send("given back")
    worker = start(OURS)
    worker.take(1)
    worker.taken[0].reject(requeue=True)
    worker.take(2)
    assert ORPHANED not in worker.taken[1].headers


def test_the_most_pressing_come_first_and_the_others_soon(start, send) -> None:
    for priority in (9, 3, 0, 6, 0):
        send(str(priority), priority)
    worker = start(OURS)
    assert worker.take(5) == ["0", "0", "3", "6", "9"]
    send("9 again", 9)
    started = time.monotonic()
    worker.take(6)
    assert time.monotonic() - started < WAIT_S + 1  # with room for a busy machine


def test_a_queue_that_is_never_empty_keeps_nothing_of_a_lower_priority_for_ever(
    start, send
) -> None:
    for priority in (9, 3):
        send(f"later {priority}", priority)
    for number in range(4 * LATER_FIRST * CLAIM):
        send(str(number))
    worker = start(OURS, prefetch=1000)
    taken = worker.take(3 * LATER_FIRST * CLAIM)
    assert {"later 3", "later 9"} <= set(taken)


def test_no_more_is_taken_than_there_is_room_for(own: Stack, start, send) -> None:
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


def test_a_worker_that_leaves_gives_back_what_it_holds(own: Stack, start, send) -> None:
    for number in range(3):
        send(str(number))
    worker = start(OURS)
    worker.take(3)
    worker.taken[1].ack()
    worker.connection.close()
    assert own.redis.hlen("unacked") == 0
    heir = start(OURS)
    assert sorted(heir.take(2)) == ["0", "2"]


def test_one_task_is_got_at_a_time(own: Stack, start, send) -> None:
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
def test_what_is_given_back_goes_to_the_list_that_it_was_taken_from(
    own: Stack, start, send, odd: str, priority: int
) -> None:
    """What cjson can't read, what came from another queue, what was sent to an exchange."""
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
