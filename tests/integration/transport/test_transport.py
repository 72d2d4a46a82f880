"""Tasks on their way from Redis to a worker: Byline's transport beside kombu's own."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator

import pytest
from kombu import Connection, Consumer, Queue
from kombu.message import Message
from redis import Redis

from celery_app.transport.channel import WAIT_S
from celery_app.transport.claim import CLAIM, LATER_FIRST
from monitoring.instruments.metrics import MALFORMED
from tasks.messages import ORPHANED
from tests.parts import Stack, wait_for

OURS, KOMBUS = "celery_app.transport:Transport", "redis"
QUEUE = Queue("tasks")


class Worker:
    """A consumer as Celery's, without Celery."""

    def __init__(self, url: str, transport: str, prefetch: int = 100) -> None:
        options = {"visibility_timeout": 1, "queue_order_strategy": "priority"}
        self.connection = Connection(url, transport=transport, transport_options=options)
        self.channel = self.connection.default_channel
        self.taken: list[Message] = []
        self.consumer = Consumer(self.channel, [QUEUE], on_message=self.taken.append)
        self.consumer.qos(prefetch_count=prefetch)
        self.consumer.consume()

    def take(self, number: int) -> list[str]:
        """Wait until so many were taken since; return their bodies."""
        until = time.monotonic() + 10
        while len(self.taken) < number:
            assert time.monotonic() < until, self.taken
            try:
                self.connection.drain_events(timeout=0.5)
            except TimeoutError:
                continue
        return [message.payload for message in self.taken]


@pytest.fixture
def url(own: Stack) -> str:
    return f"redis://localhost:{own.redis.connection_pool.connection_kwargs['port']}/0"


@pytest.fixture
def start(url: str) -> Iterator:
    workers: list[Worker] = []

    def start(transport: str, prefetch: int = 100) -> Worker:
        workers.append(Worker(url, transport, prefetch))
        return workers[-1]

    yield start
    for worker in workers:
        worker.connection.close()


@pytest.fixture
def send(url: str) -> Iterator:
    with Connection(url) as connection, connection.Producer() as producer:

        def send(body: str, priority: int = 0) -> None:
            producer.publish(body, routing_key="tasks", priority=priority, declare=[QUEUE])

        yield send


def noted(redis: Redis) -> list[tuple[dict, str, str]]:
    return [tuple(json.loads(entry)) for entry in redis.hvals("unacked")]


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


#: What Redis takes for JSON and Python does not.
HALF = (
    b'{"properties": {"delivery_tag": "half", "delivery_info": {"exchange": "", '
    b'"routing_key": "tasks"}}, "headers": {}, "body": 0x10}'
)


@pytest.mark.parametrize(
    "junk", [b"junk", b"[]", b'{"properties": 1}', b"1" * 3, b"[" * 2000, HALF]
)
def test_what_is_no_task_becomes_a_dead_letter_of_its_kind(
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
def test_no_junk_ends_a_worker_or_stays(own: Stack, junk: dict) -> None:
    own.redis.lpush("attributions", json.dumps(junk))
    worker = own.worker()
    own.api()
    assert own.attribute({"text": "after the junk"}).status_code == 200
    wait_for(lambda: own.held() == 0, what="nothing to be held")
    assert worker.alive
    assert own.attribute({"text": "and again"}).status_code == 200


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


def test_malformed_tasks_take_no_room_from_those_behind_them(own: Stack, start, send) -> None:
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


def test_a_key_of_another_application_is_kept_under_another_name(own: Stack, start, send) -> None:
    worker = start(OURS)
    own.redis.hset("tasks", "what", "another application keeps")
    worker.channel.qos.mend()
    assert own.redis.hgetall("byline:wrong_type:tasks") == {b"what": b"another application keeps"}
    send("as ever")
    assert worker.take(1) == ["as ever"]
