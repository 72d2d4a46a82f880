"""Messages in a queue that are no tasks: each becomes a dead letter, and delays no task."""

from __future__ import annotations

import contextlib
import json
import time

import pytest
from kombu.message import Message

from monitoring.instruments.metrics import MALFORMED
from tests.integration.transport.consumer import OURS
from tests.parts import Stack, wait_for

#: A message that Redis decodes as JSON, and Python does not.
HALF = (
    b'{"properties": {"delivery_tag": "half", "delivery_info": {"exchange": "", '
    b'"routing_key": "tasks"}}, "headers": {}, "body": 0x10}'
)


@pytest.mark.parametrize(
    "junk", [b"junk", b"[]", b'{"properties": 1}', b"1" * 3, b"[" * 2000, HALF]
)
def test_a_message_that_is_no_task_becomes_a_dead_letter_of_its_kind(
    own: Stack, start, send, junk: bytes
) -> None:
    own.redis.lpush("tasks", junk)
    send("good")
    worker, letters = start(OURS), []
    worker.connection.transport.put_dead_letter = lambda *said: letters.append(said)
    assert worker.take(1) == ["good"]
    [(kind, queue, size)] = letters
    assert kind in MALFORMED
    assert (queue, size) == ("tasks", len(junk))
    worker.taken[0].ack()
    worker.connection.close()
    assert own.redis.hlen("unacked") == 0


INFO = {"exchange": "", "routing_key": "attributions"}
GOOD = {"delivery_tag": "tag", "delivery_info": INFO, "body_encoding": "base64"}


@pytest.mark.parametrize(
    "junk",
    [
        {"properties": GOOD},
        {"properties": GOOD, "headers": [], "body": ""},
        {"properties": GOOD, "headers": {"task": "byline.attribute"}, "body": "no base64"},
        {"properties": GOOD, "headers": {"task": ["byline.attribute"], "id": 1}, "body": "W10="},
        {"properties": GOOD, "headers": {"task": "byline.attribute", "id": "1"}, "body": "W10="},
        {"properties": GOOD | {"body_encoding": "none such"}, "headers": {}, "body": "W10="},
        {"properties": GOOD | {"delivery_info": {}}, "headers": {"task": "x"}, "body": "W10="},
    ],
)
def test_a_malformed_message_is_removed_and_ends_no_worker(own: Stack, junk: dict) -> None:
    own.redis.lpush("attributions", json.dumps(junk))
    worker = own.worker()
    own.api()
    assert own.attribute({"text": "after the junk"}).status_code == 200
    wait_for(lambda: own.held() == 0, what="nothing to be held")
    assert worker.alive
    assert own.attribute({"text": "and again"}).status_code == 200


def test_malformed_tasks_do_not_count_for_the_prefetch_limit(own: Stack, start, send) -> None:
    for _ in range(5):
        send("good")
    good = own.redis.lrange("tasks", 0, -1)
    worker = start(OURS, prefetch=3)

    def refuse(message: Message) -> None:
        raise KeyError("id")

    worker.consumer.on_message = refuse
    letters: list[tuple] = []
    worker.connection.transport.put_dead_letter = lambda *said: letters.append(said)
    until = time.monotonic() + 10
    while len(letters) < 5 and time.monotonic() < until:
        with contextlib.suppress(TimeoutError):
            worker.connection.drain_events(timeout=0.5)
    assert len(letters) == 5
    worker.consumer.on_message = worker.taken.append
    own.redis.rpush("tasks", *good[:2])
    assert worker.take(2) == ["good", "good"]
