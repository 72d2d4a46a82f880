"""Byline's Redis clients return what redis-py's own clients return, while Redis has memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from redis import Redis, RedisError
from redis.client import Pipeline

from celery_app.backend import WholePipeline
from tasks.storage.full_redis import Client
from tests.parts import Stack

#: Commands that redis-py sends unchanged. Their answers have each type that Redis has.
COMMANDS: list[tuple[str | bytes | float, ...]] = [
    ("PING",),
    ("SET", "a string", b"\x00\xff\r\n"),
    ("GET", "a string"),
    ("GET", "none"),
    ("RPUSH", "a list", "a", b"", 3, 0.5),
    ("LRANGE", "a list", 0, -1),
    ("MGET", "a string", "none", "a list"),
    ("EVAL", "return {1, {'a', {}}, false}", 0),
    ("LPUSH", "a string", "of the wrong type"),
    ("NONSENSE",),
    ("EVAL", "return redis.error_reply('OWN error')", 0),
    ("BLPOP", "none", 0.01),
    ("HSET", "a hash", "field", "value"),
    ("HGET", "a hash", "field"),
]


@pytest.fixture
def clients(own: Stack) -> Iterator[tuple[Redis, Client]]:
    with Redis(port=own.redis_port) as plain, Client(port=own.redis_port) as ours:
        yield plain, ours


def outcome(call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Returns the result of a call, or the type and the text of its error."""
    try:
        return call(*args, **kwargs)
    except RedisError as error:
        return type(error), str(error)


def test_a_command_is_answered_as_redis_py_answers_it(clients: tuple[Redis, Client]) -> None:
    answers = []
    for client in clients:
        client.flushdb()
        answers.append([outcome(client.execute_command, *command) for command in COMMANDS])
        script = client.register_script("return {KEYS[1], ARGV[1]}")
        answers[-1].append(outcome(script, keys=["key"], args=["argument"]))
    assert answers[0] == answers[1]


def fill(pipe: Pipeline) -> None:
    pipe.set("key", "value", ex=60)
    pipe.hset("hash", mapping={"field": "value"})
    pipe.hgetall("hash")
    pipe.zadd("index", {"member": 1.5})
    pipe.zscore("index", "member")
    pipe.get("none")


@pytest.mark.parametrize("transaction", [True, False])
@pytest.mark.parametrize("wrong", [(), ("LPUSH", "hash", "value"), ("NONSENSE",)])
def test_a_pipeline_is_answered_as_redis_py_answers_it(
    clients: tuple[Redis, Client], transaction: bool, wrong: tuple[str, ...]
) -> None:
    answers = []
    for client in clients:
        client.flushdb()
        with client.pipeline(transaction=transaction) as pipe:
            fill(pipe)
            if wrong:
                pipe.execute_command(*wrong)
            pipe.ttl("key")
            answers.append(outcome(pipe.execute))
            assert pipe.execute() == []
            assert client.get("key") == (
                None if wrong == ("NONSENSE",) and transaction else b"value"
            )
    assert answers[0] == answers[1]


@pytest.mark.parametrize("touched", [True, False])
def test_a_transaction_that_watches_ends_as_redis_py_ends_it(
    clients: tuple[Redis, Client], touched: bool
) -> None:
    answers = []
    for client in clients:
        client.flushdb()
        with client.pipeline() as pipe:
            pipe.watch("key")
            if touched:
                client.set("key", "another's")
            pipe.multi()
            pipe.set("key", "own")
            answers.append([outcome(pipe.execute), pipe.watching, client.get("key")])
    assert answers[0] == answers[1]


def test_a_pipeline_in_one_piece_does_what_redis_pys_does(clients: tuple[Redis, Client]) -> None:
    """The pipeline does not parse the answers. Only a callback, ``then``, gets its answer."""
    plain, _ = clients
    with plain.pipeline(transaction=False) as pipe:
        fill(pipe)
        pipe.execute()
    expected = {key: plain.dump(key) for key in plain.scan_iter()}
    plain.flushdb()
    heard: list[Any] = []
    with WholePipeline(plain.connection_pool, {}, False, None) as pipe:
        fill(pipe)
        pipe.execute_command("LPUSH", "hash", "of the wrong type")
        pipe.execute_command("GET", "key", then=heard.append)
        assert len(pipe.execute()) == 8
    assert heard == [b"value"]
    assert {key: plain.dump(key) for key in plain.scan_iter()} == expected
