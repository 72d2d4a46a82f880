"""The api's own connection to Redis, against a real server that is broken in every way."""

from __future__ import annotations

import asyncio
import os
import signal
import time

import pytest
from redis import ResponseError, exceptions

from celery_app.client.redis.redis_connection import RedisConnection
from celery_app.connections import pool_async
from tests.parts import Stack, wait_for

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": True}  # as the server has it


@pytest.fixture
def line(own: Stack) -> RedisConnection:
    return RedisConnection(pool_async(own.env["BYLINE_REDIS_URL"]), timeout_s=0.5)


async def test_each_is_given_its_own_answer(line: RedisConnection) -> None:
    said = [line.call("ECHO", str(number)) for number in range(500)]
    assert await asyncio.gather(*said) == [b"%d" % number for number in range(500)]
    assert await line.call("MGET", "no", "such") == [None, None]
    assert await line.call("LPUSH", "list", b"\x00\xff") == 1
    assert await line.call("BRPOP", "list", 5) == [b"list", b"\x00\xff"]


async def test_who_goes_away_leaves_the_others_their_answers(line: RedisConnection) -> None:
    await line.call("PING")
    gone = asyncio.ensure_future(line.call("ECHO", "gone"))
    stays = asyncio.ensure_future(line.call("ECHO", "stays"))
    await asyncio.sleep(0)
    gone.cancel()
    assert await stays == b"stays"
    assert await line.call("ECHO", "later") == b"later"


async def test_what_redis_refuses_is_raised(line: RedisConnection) -> None:
    with pytest.raises(ResponseError, match="unknown command"):
        await line.call("NONSENSE")
    assert await line.call("PING") == b"PONG"


async def test_a_command_whose_connection_breaks_is_sent_again(
    line: RedisConnection, own: Stack
) -> None:
    for number in range(3):
        await line.call("SET", "a", number)
        _kill_connections(own)
    assert await line.call("GET", "a") == b"2"
    waits = asyncio.ensure_future(line.call("BRPOP", "list", 0.4))
    await asyncio.to_thread(wait_for, lambda: own.redis.info("clients")["blocked_clients"])
    _kill_connections(own)
    own.redis.lpush("list", "here")
    assert await waits == [b"list", b"here"]


def _kill_connections(own: Stack) -> None:
    own.redis.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


async def test_a_redis_that_is_gone_is_told_and_one_that_is_back_is_used(
    line: RedisConnection, own: Stack
) -> None:
    assert await line.call("PING") == b"PONG"
    own.parts[0].kill()
    with pytest.raises(exceptions.ConnectionError):
        await line.call("PING")
    own.valkey()
    assert await line.call("PING") == b"PONG"


async def test_a_redis_that_is_silent_counts_as_gone(line: RedisConnection, own: Stack) -> None:
    assert await line.call("PING") == b"PONG"
    process = own.parts[0].process.pid
    os.kill(process, signal.SIGSTOP)
    try:
        began = time.monotonic()
        with pytest.raises((exceptions.TimeoutError, exceptions.ConnectionError)):
            await line.call("PING")
        assert time.monotonic() - began >= 0.5
    finally:
        os.kill(process, signal.SIGCONT)
    assert await line.call("PING") == b"PONG"


async def test_one_that_is_slow_but_answers_is_waited_for(line: RedisConnection) -> None:
    for _ in range(4):
        assert await line.call("BRPOP", "nothing", 0.3) is None
    assert await line.call("PING") == b"PONG"
