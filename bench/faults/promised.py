"""Faults that test whether the answers that the api promised with status 202 still come.

A fault is a function that gets a new instance of Byline. The function sends messages with
``?wait=0``, breaks something, and fetches the promised answers.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPException
from itertools import count, islice
from pathlib import Path
from urllib.error import HTTPError

from redis import Redis
from redis.exceptions import OutOfMemoryError

from bench.faults.fault_injection import first_pid
from bench.faults.loss import Loss
from bench.load.recorder import BROKEN
from bench.system.direct import DIRECT, request
from bench.system.system import Started

#: Number of requests that a fault sends if nothing else ends its load.
REQUESTS = 40
#: Messages in one request.
BULK = 50
#: Characters of a message.
SHORT = 100
#: Characters of each message of a load that fills the queue.
LONG = 12_000
#: Number of results that other clients put into the cache.
OTHERS = 400_000
#: Bytes of each result that other clients put into the cache.
SIZE = 200
#: Results that are stored in one Redis pipeline.
TOGETHER = 1000
#: Seconds before a power cut in which accepted messages may be lost with ``appendfsync everysec``:
#: one second until Valkey syncs the file, and one second more for a busy disk.
LATE_S = 2.0
#: The reason that is given for a lost message which was accepted in the last ``LATE_S`` seconds
#: before a power cut.
TOO_LATE = "gone with the last 2 s"
#: Seconds for which a promised answer is requested.
ANSWERED_S = 60.0

#: A function that sends messages to a system, breaks something, and returns the outcome of all
#: messages.
PromiseFault = Callable[[Started], Loss]


@dataclass(slots=True)
class Account:
    """The messages that a fault has sent: how many were answered, promised, refused and lost."""

    #: The accepted messages whose answer is not fetched yet: the monotonic time of acceptance in
    #: seconds, by the message's id.
    accepted: dict[str, float] = field(default_factory=dict)
    #: Messages that were answered at once.
    answered: int = 0
    #: Promised answers that were fetched.
    fetched: int = 0
    #: Promised answers that never came, by the HTTP status of the last request for the answer.
    lost: Counter[int] = field(default_factory=Counter)
    #: Messages that were not accepted, by the reason.
    refused: Counter[str] = field(default_factory=Counter)

    def close(self, system: Started) -> Loss:
        """Fetches the promised answers, and returns the outcome of all messages.

        Gives up after ``ANSWERED_S`` seconds. Answers that have not come by then count as lost.
        """
        until = time.monotonic() + ANSWERED_S
        while self.accepted and time.monotonic() < until:
            self.fetch(system, list(self.accepted))
            time.sleep(0.5 if self.accepted else 0.0)  # between two rounds, until the deadline
        self.lost = Counter(_status(system, id) for id in self.accepted)
        refused = dict(self.refused)
        sent = self.answered + self.fetched + len(self.accepted) + sum(refused.values())
        counts = self.answered, self.fetched, len(self.accepted)
        return Loss(sent, *counts, refused, None, 0.0)

    def fetch(self, system: Started, ids: Sequence[str]) -> None:
        """Requests the answer of each message in ``ids`` once. Records the answers that come."""
        for id in ids:
            if _status(system, id) == 200:
                del self.accepted[id]
                self.fetched += 1


def fill_queue(system: Started) -> Loss:
    """Freezes a worker, sends messages until the api refuses some, and fills Valkey's memory.

    Then kills the worker, whose successor has to give all promised answers. Returns the outcome of
    the messages.
    """
    worker, account = first_pid(system, "worker"), Account()
    os.kill(worker, signal.SIGSTOP)
    for _ in send_without_end(system, account, LONG):
        if account.refused:
            break
    with Redis.from_url(system.redis) as client, suppress(OutOfMemoryError):
        lists = [key for key in client.scan_iter("attributions.*") if client.type(key) == b"list"]
        queue = max(lists, key=client.llen)  # each priority has a list of its own
        while task := client.lindex(queue, -1):  # copies a task until Valkey has no memory left
            client.lpush(queue, task)
    os.kill(worker, signal.SIGKILL)
    return account.close(system)


def fill_cache(system: Started) -> Loss:
    """Sends messages whose answers are promised, and fills the cache with many other results.

    The other results need several times the memory of the cache. The promised answers have to
    survive. Returns the outcome of the messages.
    """
    account = Account()
    for _ in islice(send_without_end(system, account, SHORT), REQUESTS):
        pass
    store_others_results(system)
    return account.close(system)


def store_others_results(system: Started) -> None:
    """Stores results for messages that nobody sent: several times as many as the cache can hold."""
    with Redis.from_url(system.redis) as client:
        for start in range(0, OTHERS, TOGETHER):
            with client.pipeline(transaction=False) as pipe:
                for number in range(start, start + TOGETHER):
                    pipe.set(f"byline:result:{number:032x}", b"x" * SIZE, ex=86_400)
                pipe.execute(raise_on_error=False)


def cut_power(fsync: str) -> PromiseFault:
    """Returns a fault that kills all processes, and drops the data that a power cut would destroy.

    Byline then starts again on the remaining data. ``fsync`` is Valkey's setting ``appendfsync``:
    ``always`` or ``everysec``.
    """

    def fault(system: Started) -> Loss:
        account, sizes = Account(), []
        with Redis.from_url(system.redis) as client:
            client.config_set("appendfsync", fsync)
        log = _newest(system.folder / "state" / "valkey" / "appendonlydir")
        sending = send_without_end(system, account, SHORT)
        until = time.monotonic() + 3 * LATE_S
        while time.monotonic() < until:
            next(sending)
            sizes.append((time.monotonic(), log.stat().st_size))
        late_s = LATE_S if fsync == "everysec" else 0.0
        at, size = [seen for seen in sizes if seen[0] <= sizes[-1][0] - late_s][-1]
        system.kill()
        os.truncate(log, size)
        system.start_again()
        late = [id for id, accepted in account.accepted.items() if accepted > at]
        for id in late:
            if _status(system, id) == 404:
                del account.accepted[id]
                account.refused[TOO_LATE] += 1
        return account.close(system)

    return fault


def send_without_end(system: Started, account: Account, characters: int) -> Iterator[None]:
    """Returns an endless iterator. Each step sends one bulk request of ``BULK`` messages.

    A request has ``?wait=0``: the api does not wait for the model, but promises the answers.
    ``account`` records which messages are promised, answered or refused. The parameter
    ``characters`` is the approximate length of a message.
    """
    for number in count():
        texts = [f"{number} {item} {'aeiou ' * (characters // 6)}" for item in range(BULK)]
        body = {"messages": [{"text": text} for text in texts]}
        asked = request(system.target, f"{system.target.path}?wait=0", body)
        try:
            with DIRECT.open(asked, timeout=30) as response:
                items = json.load(response)["attributions"]
        except HTTPError as error:  # the api refused the whole request
            with error:
                account.refused[json.load(error)["code"]] += BULK
        except (OSError, HTTPException):
            account.refused[BROKEN] += BULK
        else:
            pending = [item["id"] for item in items if "location" in item]
            account.accepted |= dict.fromkeys(pending, time.monotonic())
            account.answered += sum("author" in item for item in items)
            account.refused.update(item["error"]["code"] for item in items if "error" in item)
        yield


def _status(system: Started, id: str) -> int:
    """Returns the HTTP status of the answer to message ``id``; 0 if there is no response."""
    asked = request(system.target, f"{system.target.path}/{id}")
    try:
        with DIRECT.open(asked, timeout=10) as response:
            return int(response.status)
    except HTTPError as error:
        with error:
            return error.code
    except (OSError, HTTPException):
        return 0


def _newest(folder: Path) -> Path:
    """Returns the append-only file in ``folder`` that Valkey writes to now."""
    return max(folder.glob("*.incr.aof"), key=lambda path: path.stat().st_mtime)
