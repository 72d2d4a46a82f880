"""Extra load for ``make soak``: a full cache, a greedy client, and a late client.

The greedy client has its own API key, the greedy key, and sends as much as it can. The late client
fetches each promised answer 30 s to 10 min after the promise.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from redis import Redis, RedisError

from bench.faults.loss import Loss, count_kept
from bench.faults.promised import SHORT, Account, send_without_end, store_others_results
from bench.load.beside import GREEDY, greedy
from bench.load.generator import Job
from bench.load.recorder import Recorder
from bench.load.scenario import Beside, Mix, Scenario
from bench.system.system import Started

#: The load with the greedy API key. Its connections never pause, and a request has many messages.
GREEDY_LOAD = Beside(connections=4, bulk=64)
#: Seconds between two requests of 50 messages each, whose answers are promised for later (status
#: 202).
PROMISED_EACH_S = 10.0
#: Shortest time in seconds from a promise to the first request for the answer.
FETCHED_AFTER_S = 30.0
#: Longest time in seconds from a promise to the first request for the answer.
FETCHED_BEFORE_S = 600.0
#: Seconds between two checks of the cache.
LOOK_S = 5.0
#: Share of Valkey's maxmemory from which the cache counts as full.
FULL = 0.95
#: Share of the checks in which the cache has to be full.
MOSTLY = 0.9


@dataclass(slots=True)
class Crowd:
    """The result of the extra load: its messages' outcomes, and how often the cache was full."""

    #: The outcome of the messages whose answers were promised; None until the load is over.
    promised: Loss | None = None
    #: The outcome of the greedy key's messages; None until the load is over.
    greedy: Loss | None = None
    #: Number of promised answers that never came, by the HTTP status of the last request for the
    #: answer.
    lost: Mapping[int, int] = field(default_factory=dict)
    #: Number of checks of the cache.
    looks: int = 0
    #: Number of checks in which the cache was full.
    full: int = 0
    #: Number of results that Valkey evicted.
    evicted: int = 0

    @property
    def complaints(self) -> list[str]:
        """Texts on what went wrong with the extra load, such as answers that never came."""
        found = [f"promised: {count} ended with {status}" for status, count in self.lost.items()]
        if not self.full >= MOSTLY * self.looks > 0:
            found.append(f"the cache was full in {self.full} of {self.looks} looks only")
        return found


@contextmanager
def crowd(system: Started, passages: Path, mix: Mix, seconds: float) -> Iterator[Crowd]:
    """Fills the cache, and runs the extra load during a ``with`` block.

    ``seconds`` is the longest duration of the block. The greedy key's messages come from the file
    ``passages``. After the block, the yielded result is complete, or the load's error is raised.
    """
    found, over, late = Crowd(), threading.Event(), LatePromises(system, random.Random(mix.seed))
    store_others_results(system)
    scenario = Scenario(
        title="a greedy key", seconds=seconds, mix=mix, beside=GREEDY_LOAD, most_messages=10**9
    )
    job = Job(scenario, system.target, system.redis, passages, 0)
    with greedy(job) as other, ThreadPoolExecutor(2) as aside:
        fetching = aside.submit(late.run, over)
        watching = aside.submit(_watch_cache, system, found, over)
        try:
            yield found
        finally:
            over.set()
    for ended in (fetching, watching):
        ended.result()  # raises the thread's error
    found.promised = late.account.close(system)
    found.lost = late.account.lost
    assert other.record is not None
    found.greedy = _loss(system, other.record.recorder)


@dataclass(slots=True)
class LatePromises:
    """Sends messages whose answers are promised, and fetches each answer 30 s to 10 min later."""

    system: Started
    chance: random.Random
    account: Account = field(default_factory=Account)
    #: Monotonic time in seconds at which each promised answer is to be fetched, by message id.
    _due: dict[str, float] = field(default_factory=dict)

    def run(self, over: threading.Event) -> None:
        """Sends messages and fetches answers until ``over`` is set."""
        sending = send_without_end(self.system, self.account, SHORT)
        while not over.wait(PROMISED_EACH_S):
            next(sending)
            now = time.monotonic()
            for id in self.account.accepted.keys() - self._due.keys():
                self._due[id] = now + self.chance.uniform(FETCHED_AFTER_S, FETCHED_BEFORE_S)
            due = [id for id in self.account.accepted if self._due[id] <= now]
            self.account.fetch(self.system, due)


def _loss(system: Started, recorder: Recorder) -> Loss:
    """Fetches the promised answers of all messages that were sent with the greedy API key.

    Then returns the outcome of these messages.
    """
    failed = dict(recorder.failed)
    failed.pop(Recorder.PROMISED, None)
    kept = count_kept(system.target._replace(key=GREEDY), recorder.promised)
    broken = len(recorder.promised) - kept
    sent, answered = sum(recorder.sent), sum(recorder.answered)
    return Loss(sent, answered, kept, broken, failed, None, 0.0)


def _watch_cache(system: Started, found: Crowd, over: threading.Event) -> None:
    evicted = 0  # results that this Valkey process evicted
    with Redis.from_url(system.redis) as client:
        while not over.wait(LOOK_S):
            try:
                seen = client.info()
            except RedisError:  # Valkey is killed just now, or frozen
                continue
            found.looks += 1
            found.full += seen["used_memory"] >= FULL * seen["maxmemory"]
            # A Valkey that was started again counts from 0.
            found.evicted += max(0, seen["evicted_keys"] - evicted)
            evicted = seen["evicted_keys"]
