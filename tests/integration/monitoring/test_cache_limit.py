"""While memory is short, the embedded Valkey shrinks its cache, but not the queue's memory."""

from __future__ import annotations

from monitoring.monitor.cache_limit import SPARE, CacheLimit
from tasks.messages import QUEUE
from tasks.rollout import lists
from tests.parts import Stack

LISTS = lists(QUEUE)

FULL = 48 * 2**20


def size(stack: Stack) -> int:
    return int(stack.redis.config_get("maxmemory")["maxmemory"])


def test_limit_is_halved_while_memory_is_short_and_restored(own: Stack) -> None:
    cache_limit = CacheLimit(own.redis, FULL)
    cache_limit.adapt("ok")
    assert size(own) == FULL
    cache_limit.adapt("warning")
    assert size(own) == FULL // 2
    # The server has restarted meanwhile and has its usual limit again.
    own.redis.config_set("maxmemory", FULL)
    cache_limit.adapt("critical")
    assert size(own) == FULL // 2
    cache_limit.adapt("ok")
    assert size(own) == FULL


def test_limit_that_an_earlier_monitor_left_is_restored(own: Stack) -> None:
    own.redis.config_set("maxmemory", FULL // 2)
    CacheLimit(own.redis, FULL).adapt("ok")
    assert size(own) == FULL


def test_long_queue_keeps_the_memory_that_it_needs(own: Stack) -> None:
    for number in range(12):
        own.redis.lpush(LISTS[number % 2], b"x" * 2**20)
    CacheLimit(own.redis, FULL).adapt("critical")
    assert 24 * 2**20 + SPARE <= size(own) < FULL
    own.redis.config_set("maxmemory", FULL)
    own.redis.lpush(LISTS[0], b"x" * 2**23)
    CacheLimit(own.redis, FULL).adapt("critical")
    assert size(own) == FULL
