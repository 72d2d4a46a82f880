"""Byline's transport delivers the same messages, and leaves the same data, as kombu's own."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from kombu import Connection, Consumer, Exchange, Queue
from kombu.message import Message
from redis import Redis

from tests.parts import Stack

OURS, KOMBUS = "celery_app.transport:Transport", "redis"
OPTIONS = {"visibility_timeout": 60, "queue_order_strategy": "priority"}
TASKS, BROADCAST = Queue("tasks"), Exchange("orders", "fanout")
BODIES: list[Any] = ["text \u2603", {"a": [1, 2.5, None]}, [["args"], {}, {"chain": None}], ""]


def drain(connection: Connection, condition: Callable[[], bool]) -> None:
    """Delivers messages until a condition holds."""
    until = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < until
        with suppress(TimeoutError):
            connection.drain_events(timeout=0.5)


def receive(connection: Connection, messages: list[Message], number: int) -> None:
    drain(connection, lambda: len(messages) >= number)


def seen(message: Message) -> dict[str, Any]:
    """Returns all that a consumer can see of a message."""
    properties = {**message.properties}
    assert properties.pop("delivery_tag") == message.delivery_tag
    return {
        "payload": message.payload,
        "headers": message.headers,
        "properties": properties,
        "delivery_info": message.delivery_info,
        "content": (message.content_type, message.content_encoding),
    }


def left(redis: Redis) -> dict[str, Any]:
    """Returns the lists of tasks, without the delivery tag, which is new in each delivery."""
    lists = {}
    for name in sorted(redis.keys("tasks*")):
        tasks = [json.loads(task) for task in redis.lrange(name, 0, -1)]
        for task in tasks:
            task["properties"].pop("delivery_tag")
        lists[name] = tasks
    return lists


def by_both(own: Stack, scene: Callable[[Connection], Any]) -> tuple[Any, Any]:
    """Returns the result of a scene with kombu's transport, and with Byline's."""
    shown = []
    for transport in (KOMBUS, OURS):
        own.redis.flushdb()
        url = own.env["BYLINE_REDIS_URL"]
        with Connection(url, transport=transport, transport_options=OPTIONS) as connection:
            shown.append(scene(connection))
    return shown[0], shown[1]


def send(connection: Connection, body: Any, **options: Any) -> None:
    with connection.Producer() as producer:
        producer.publish(body, routing_key="tasks", declare=[TASKS], serializer="json", **options)


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("priority", [0, 4, 9])
def test_a_consumer_sees_the_message_that_kombu_shows_it(
    own: Stack, body: Any, priority: int
) -> None:
    def scene(connection: Connection) -> Any:
        send(connection, body, priority=priority, headers={"own": "header"}, reply_to="here")
        messages: list[Message] = []
        with Consumer(connection, [TASKS], on_message=messages.append, accept=["json"]):
            receive(connection, messages, 1)
        shown = seen(messages[0])
        messages[0].ack()
        return shown

    kombus, ours = by_both(own, scene)
    assert ours == kombus
    assert ours["payload"] == body
    assert own.redis.exists("tasks", "unacked", "unacked_index") == 0


def test_basic_get_returns_the_message_that_kombu_returns(own: Stack) -> None:
    def scene(connection: Connection) -> Any:
        send(connection, "first")
        send(connection, "second")
        channel = connection.default_channel
        message = channel.basic_get("tasks")
        noted = [json.loads(entry)[1:] for entry in own.redis.hvals("unacked")]
        message.ack()
        last = channel.basic_get("tasks", no_ack=True)
        return seen(message), noted, seen(last), channel.basic_get("tasks")

    kombus, ours = by_both(own, scene)
    assert ours == kombus
    assert (ours[0]["payload"], ours[2]["payload"], ours[3]) == ("first", "second", None)


@pytest.mark.parametrize("requeue", [True, False])
def test_a_rejected_message_is_left_in_redis_as_kombu_leaves_it(own: Stack, requeue: bool) -> None:
    def scene(connection: Connection) -> Any:
        for number in range(3):
            send(connection, number, priority=3 * (number % 2))
        channel = connection.default_channel
        for _ in range(2):
            channel.basic_get("tasks").reject(requeue=requeue)
        assert own.redis.exists("unacked", "unacked_index") == 0
        return left(own.redis)

    kombus, ours = by_both(own, scene)
    assert ours == kombus
    assert sum(map(len, ours.values())) == (3 if requeue else 1)


def test_unacknowledged_messages_are_left_in_redis_as_kombu_leaves_them(own: Stack) -> None:
    def scene(connection: Connection) -> Any:
        for number in range(3):
            send(connection, number)
        messages: list[Message] = []
        with Consumer(connection, [TASKS], on_message=messages.append):
            receive(connection, messages, 3)
        messages[1].ack()
        connection.close()
        assert own.redis.exists("unacked", "unacked_index") == 0
        return sorted(json.dumps(task, sort_keys=True) for task in left(own.redis)[b"tasks"])

    kombus, ours = by_both(own, scene)
    assert ours == kombus
    assert len(ours) == 2


def test_a_broadcast_is_seen_as_kombu_shows_it(own: Stack) -> None:
    def scene(connection: Connection) -> Any:
        messages: list[Message] = []
        queue = Queue("here", BROADCAST, auto_delete=True)
        with Consumer(connection, [queue], on_message=messages.append, no_ack=True):
            drain(connection, lambda: own.redis.pubsub_numpat() > 0)  # the consumer has subscribed
            with connection.Producer() as producer:
                producer.publish({"method": "ping"}, exchange=BROADCAST, headers={"own": 1})
            receive(connection, messages, 1)
        return seen(messages[0])

    kombus, ours = by_both(own, scene)
    assert ours == kombus
    assert ours["payload"] == {"method": "ping"}
