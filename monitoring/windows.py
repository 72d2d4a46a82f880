"""Counts of the last minutes, kept in Redis, so that they outlive whoever counted them.

A window is cut into slices, each a hash under a key of its own that expires with the window. Many
processes add to the slice of the moment; who wants the sum reads them all.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from redis import Redis
from redis.asyncio.client import Pipeline as AsyncPipeline
from redis.client import Pipeline

#: Slices of a window: it slides in steps of a sixtieth.
SLICES = 60
#: What the model answered, and what was learned of its answers.
ANSWERS, LABELS = "answers", "labels"
#: A sorted set: model version by the Unix time of its last answers.
VERSIONS = "byline:quality:versions"


class Window:
    """One kind of counts, over the last ``seconds``, apart for each model version."""

    def __init__(self, kind: str, seconds: float, now: Callable[[], float] = time.time) -> None:
        self._kind = kind
        self.seconds = seconds
        self._now = now  # wall clock: many machines count

    def add(self, pipe: Pipeline | AsyncPipeline, version: str, counts: Mapping[str, int]) -> None:
        """Queue on ``pipe`` that ``counts`` are added. It may be an asynchronous one as well."""
        key = self._key(version, self._slice())
        for field, number in counts.items():
            pipe.hincrby(key, field, number)
        pipe.expire(key, int(self.seconds + 2 * self._step) + 1)
        if self._kind == ANSWERS:  # what is served, not what somebody says of what was
            pipe.zadd(VERSIONS, {version: self._now()})

    def read(self, client: Redis, version: str) -> Counter[str]:
        """Return the sums of the window. Raises ``RedisError``."""
        last = self._slice()
        with client.pipeline(transaction=False) as pipe:
            for number in range(last - SLICES + 1, last + 1):
                pipe.hgetall(self._key(version, number))
            slices: list[dict[bytes, bytes]] = pipe.execute()
        sums: Counter[str] = Counter()
        for each in slices:
            for field, value in each.items():
                sums[field.decode()] += int(value)
        return sums

    @property
    def _step(self) -> float:
        return self.seconds / SLICES

    def _slice(self) -> int:
        return int(self._now() / self._step)

    def _key(self, version: str, number: int) -> str:
        # The length of a slice is a part of its name: one of another length is another.
        return f"byline:quality:{self._kind}:{version}:{self._step:g}:{number}"


def versions(client: Redis, seconds: float) -> list[str]:
    """Return which versions answered in the last ``seconds``, the latest first.

    Forgets the others. Raises ``RedisError``.
    """
    client.zremrangebyscore(VERSIONS, "-inf", time.time() - seconds)
    found: Any = client.zrange(VERSIONS, 0, -1, desc=True)
    return [version.decode(errors="replace") for version in found]
