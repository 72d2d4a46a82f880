"""Puts kept texts into Redis, and reads all that Redis holds."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from redis import Redis

from celery_app.client.labels import FEEDBACK
from tasks.feedback.kept_texts import KeepLimits, LabelledText
from tasks.feedback.waiting_texts import TEXT
from tests.parts import Stack


def keep_text(stack: Stack, id: str, text: LabelledText) -> None:
    """Keeps a text, as the api does when feedback comes."""
    stack.redis.set(FEEDBACK + id, text.author)
    stack.redis.set(TEXT + id, text.text)
    limits = KeepLimits(text.until - time.time(), 2**20)
    stack.redis.execute_command(*limits.keep_command(FEEDBACK + id, id, text.version))


def everything(redis: Redis) -> bytes:
    """Returns the names and the values of all keys in Redis. A key of an unknown type fails."""
    read: dict[bytes, Callable[[bytes], Any]] = {
        b"string": redis.get,
        b"list": lambda key: redis.lrange(key, 0, -1),
        b"hash": redis.hgetall,
        b"set": redis.smembers,
        b"zset": lambda key: redis.zrange(key, 0, -1),
    }
    keys = {key: redis.type(key) for key in redis.scan_iter()}
    values = (read[kind](key) for key, kind in keys.items() if kind != b"none")  # none: expired
    return repr([*keys, *values]).encode()
