"""Keeps counts of the last minutes in Redis, so that the counts outlive the counting processes.

A window is a period that ends now. Each slice of the window is a Redis hash that expires. Processes
add to the present slice, and readers add up all slices.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from redis import Redis
from redis.asyncio.client import Pipeline as AsyncPipeline
from redis.client import Pipeline

from tasks.storage.lua_scripts import read_script
from tasks.storage.wrong_type import without_wrong_types

#: Slices of a window. The window moves on in steps of a sixtieth of its length.
SLICES = 60
#: Kind of the counts of the model's predictions.
ANSWERS = "answers"
#: Kind of the counts of labels: predictions that feedback confirmed or corrected.
LABELS = "labels"
#: Key of a sorted set: each model version by the Unix time of its last answer.
VERSIONS = "byline:quality:versions"
#: Maximum number of versions that :func:`versions` returns.
MAX_VERSIONS = 32
#: A count as Redis writes it.
_COUNT = re.compile(rb"[0-9]{1,18}")


_ADD = read_script(Path(__file__).with_name("add_counts.lua"))


class Window:
    """Counts of one kind over a period that ends now, kept separately for each model version.

    The parameter ``kind`` says what is counted: predictions or labels. ``seconds`` is the length of
    the period.
    """

    def __init__(self, kind: str, seconds: float, now: Callable[[], float] = time.time) -> None:
        self._kind = kind
        self.seconds = seconds
        self._now = now  # wall clock, because processes of many machines count

    def add(self, pipe: Pipeline | AsyncPipeline, version: str, counts: Mapping[str, int]) -> None:
        """Adds ``counts`` to the window's present slice, for one version.

        ``pipe`` is a synchronous or asynchronous pipeline of redis-py. This method only queues a
        command on ``pipe``; the caller executes the pipeline.
        """
        keys = [self._key(version, self._slice())]
        if self._kind == ANSWERS:  # labels may arrive for a version that no longer answers
            keys.append(VERSIONS)
        # The key expires once the slice is older than the window.
        lasts = int(self.seconds + 2 * self._step) + 1
        pairs = [each for pair in counts.items() for each in pair]
        pipe.execute_command("EVAL", _ADD, len(keys), *keys, lasts, version, self._now(), *pairs)

    def key_at(self, version: str, at: float) -> str:
        """Returns the Redis key of a version's slice that contains the Unix time ``at``."""
        return self._key(version, int(at / self._step))

    def read(self, client: Redis, version: str) -> Counter[str]:
        """Returns the sum of each count over the window, for one version. Raises ``RedisError``."""
        last = self._slice()
        with client.pipeline(transaction=False) as pipe:
            for number in range(last - SLICES + 1, last + 1):
                pipe.hgetall(self._key(version, number))
            slices = without_wrong_types(pipe.execute(raise_on_error=False))
        sums: Counter[str] = Counter()
        for each in filter(None, slices):
            for field, value in each.items():
                if _COUNT.fullmatch(value):
                    sums[field.decode(errors="replace")] += int(value)
        return sums

    @property
    def _step(self) -> float:
        return self.seconds / SLICES

    def _slice(self) -> int:
        return int(self._now() / self._step)

    def _key(self, version: str, number: int) -> str:
        # The key holds the slice's length, so that windows of different lengths never mix.
        return f"byline:quality:{self._kind}:{version}:{self._step:g}:{number}"


def versions(client: Redis, seconds: float) -> list[str]:
    """Returns the model versions that answered messages in the last ``seconds`` seconds.

    The version that answered last comes first. Removes versions that have not answered in this time
    from the sorted set in Redis. Raises ``RedisError``.
    """
    with client.pipeline(transaction=False) as pipe:
        pipe.zremrangebyscore(VERSIONS, "-inf", time.time() - seconds)
        pipe.zrange(VERSIONS, 0, MAX_VERSIONS - 1, desc=True)
        found: Any = without_wrong_types(pipe.execute(raise_on_error=False))[1] or []
    return [version.decode(errors="replace") for version in found]
