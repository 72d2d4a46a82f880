"""Acknowledged tasks: the transport writes them to Redis with its next claim, or soon."""

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


def test_what_was_acknowledged_goes_with_the_next_claim(own: Stack, start, send) -> None:
    send("first")
    worker = start(OURS)
    worker.take(1)
    before = commands(own.redis)
    worker.taken[0].ack()
    send("second")
    worker.take(2)
    with contextlib.suppress(TimeoutError):  # the claim that took the second was under way
        worker.connection.drain_events(timeout=4 * WAIT_S)
    assert own.redis.hlen("unacked") == own.redis.zcard("unacked_index") == 1
    [[message, _, _]] = noted(own.redis)
    assert message["properties"]["delivery_tag"] == worker.taken[1].delivery_tag
    after = commands(own.redis)
    assert after.get("cmdstat_exec", 0) == before.get("cmdstat_exec", 0)


def test_what_was_acknowledged_is_forgotten_where_no_more_comes(own: Stack, start, send) -> None:
    send("only")
    worker = start(OURS)
    worker.take(1)
    worker.taken[0].ack()
    with contextlib.suppress(TimeoutError):
        worker.connection.drain_events(timeout=4 * WAIT_S)
    assert own.redis.hlen("unacked") == own.redis.zcard("unacked_index") == 0


def test_without_room_what_was_acknowledged_is_forgotten_at_once(own: Stack, start, send) -> None:
    send("first")
    send("second")
    worker = start(OURS, prefetch=2)
    worker.take(2)
    worker.channel.qos.can_consume = lambda: False
    worker.taken[0].ack()
    with contextlib.suppress(TimeoutError):
        worker.connection.drain_events(timeout=0.1)
    assert own.redis.hlen("unacked") == 1


def test_what_a_lost_claim_took_along_goes_with_the_next(own: Stack, start, send) -> None:
    send("first")
    worker = start(OURS)
    worker.take(1)
    worker.taken[0].ack()
    worker.channel.qos.unsettled()  # on its way with a claim
    worker.channel.client.connection.disconnect()  # which is never answered
    send("second")
    worker.take(2)
    with contextlib.suppress(TimeoutError):
        worker.connection.drain_events(timeout=4 * WAIT_S)
    [[message, _, _]] = noted(own.redis)
    assert message["properties"]["delivery_tag"] == worker.taken[1].delivery_tag


def test_what_a_full_redis_lets_be_taken_is_delivered(own: Stack, start, send) -> None:
    """With something to forget first, the script goes on where the wait before it is refused."""
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


def test_what_nobody_acknowledges_is_not_noted_and_comes_once(
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
