"""The transport writes acknowledgements to Redis with its next claim, or soon if none follows."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from kombu import Connection, Consumer
from kombu.message import Message
from redis import Redis

from celery_app.transport.channel import WAIT_S
from tests.integration.transport.consumer import OURS, QUEUE, noted
from tests.parts import Stack


def commands(redis: Redis) -> dict[str, int]:
    return {name: int(told["calls"]) for name, told in redis.info("commandstats").items()}


def test_an_acknowledgement_is_written_with_the_next_claim(own: Stack, start, send) -> None:
    send("first")
    worker = start(OURS)
    worker.take(1)
    before = commands(own.redis)
    worker.taken[0].ack()
    send("second")
    worker.take(2)
    with contextlib.suppress(TimeoutError):  # for a claim that was in flight
        worker.connection.drain_events(timeout=4 * WAIT_S)
    assert own.redis.hlen("unacked") == own.redis.zcard("unacked_index") == 1
    [[message, _, _]] = noted(own.redis)
    assert message["properties"]["delivery_tag"] == worker.taken[1].delivery_tag
    after = commands(own.redis)
    assert after.get("cmdstat_exec", 0) == before.get("cmdstat_exec", 0)


def test_an_acknowledgement_is_written_when_no_more_tasks_come(own: Stack, start, send) -> None:
    send("only")
    worker = start(OURS)
    worker.take(1)
    worker.taken[0].ack()
    with contextlib.suppress(TimeoutError):
        worker.connection.drain_events(timeout=4 * WAIT_S)
    assert own.redis.hlen("unacked") == own.redis.zcard("unacked_index") == 0


def test_an_acknowledgement_is_written_at_once_by_a_full_worker(own: Stack, start, send) -> None:
    send("first")
    send("second")
    worker = start(OURS, prefetch=2)
    worker.take(2)
    worker.channel.qos.can_consume = lambda: False
    worker.taken[0].ack()
    with contextlib.suppress(TimeoutError):
        worker.connection.drain_events(timeout=0.1)
    assert own.redis.hlen("unacked") == 1


def test_acknowledgements_of_a_lost_claim_go_with_the_next_claim(own: Stack, start, send) -> None:
    send("first")
    worker = start(OURS)
    worker.take(1)
    worker.taken[0].ack()
    worker.channel.qos.unsettled()  # a claim carries the acknowledgement
    worker.channel.client.connection.disconnect()  # and is never answered
    send("second")
    worker.take(2)
    with contextlib.suppress(TimeoutError):
        worker.connection.drain_events(timeout=4 * WAIT_S)
    [[message, _, _]] = noted(own.redis)
    assert message["properties"]["delivery_tag"] == worker.taken[1].delivery_tag


def test_a_task_is_delivered_from_a_full_redis(own: Stack, start, send) -> None:
    """The script writes the acknowledgement first, and runs although Redis refuses the wait."""
    send("first")
    worker = start(OURS)
    worker.take(1)
    send("second")
    worker.taken[0].ack()
    own.redis.config_set("maxmemory", 1)
    assert worker.take(2) == ["first", "second"]
    own.redis.config_set("maxmemory", 0)
    [[message, _, _]] = noted(own.redis)
    assert message["properties"]["delivery_tag"] == worker.taken[1].delivery_tag


def test_a_message_without_acknowledgement_comes_once_and_is_not_recorded(
    own: Stack, url: str, send: Callable[..., None]
) -> None:
    options = {"visibility_timeout": 1}
    with Connection(url, transport=OURS, transport_options=options) as connection:
        taken: list[Message] = []
        channel = connection.default_channel
        with Consumer(channel, [QUEUE], on_message=taken.append, no_ack=True):
            send("reply")
            with contextlib.suppress(TimeoutError):
                while True:  # until nothing has come for longer than the visibility timeout
                    connection.drain_events(timeout=2.5)
        assert [message.payload for message in taken] == ["reply"]
        send("got")
        assert channel.basic_get("tasks", no_ack=True).payload == "got"
    assert own.redis.hlen("unacked") == own.redis.zcard("unacked_index") == 0
    assert own.redis.llen("tasks") == 0
