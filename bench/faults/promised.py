"""Faults that are about promises: many answers are promised, something happens, each is asked for.

A course has a system of its own, sends it messages with ``?wait=0``, and returns what became of
each: promised and then there, refused with a reason, or lost.
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

from bench.faults.fault_injection import first
from bench.faults.loss import Loss
from bench.load.recorder import BROKEN
from bench.system.direct import DIRECT, request
from bench.system.system import Started

#: Requests of a course that does not end by itself, and messages in one request.
REQUESTS, BULK = 40, 50
#: Characters of a message, and of one that is to fill the queue.
SHORT, LONG = 100, 12_000
#: Results that others put into the cache, bytes of each, and so many at once.
OTHERS, SIZE, TOGETHER = 400_000, 200, 1000
#: Seconds before a power cut from which on a file that is written each second may lack what came:
#: the second, and as long again until a busy disk has it.
LATE_S = 2.0
#: Why a message that was accepted so late may be gone.
TOO_LATE = "gone with the last 2 s"
#: Seconds for which a promised answer is asked for.
ANSWERED_S = 60.0

#: Does something to a system. Returns what became of all messages.
Course = Callable[[Started], Loss]


@dataclass(slots=True)
class Account:
    """The messages of a course."""

    #: By the id of each message that was accepted, and whose answer was not fetched: when it was
    #: accepted, monotonic, in seconds.
    accepted: dict[str, float] = field(default_factory=dict)
    #: How many were answered at once, and need no promise; and how many answers were fetched.
    answered: int = 0
    fetched: int = 0
    #: The statuses of answers that were never there, once all have been asked for.
    lost: Counter[int] = field(default_factory=Counter)
    #: How many were not, by the reason that was given.
    refused: Counter[str] = field(default_factory=Counter)

    def close(self, system: Started) -> Loss:
        """Asks for each message that was accepted, until it is answered or it takes too long."""
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
        """Asks once for the answers of messages that were accepted."""
        for id in ids:
            if _status(system, id) == 200:
                del self.accepted[id]
                self.fetched += 1


def fill_queue(system: Started) -> Loss:
    """Have nobody take tasks until new ones are refused; fill Valkey; kill the worker."""
    worker, account = first(system, "worker"), Account()
    os.kill(worker, signal.SIGSTOP)
    for _ in send_without_end(system, account, LONG):
        if account.refused:
            break
    with Redis.from_url(system.redis) as client, suppress(OutOfMemoryError):
        lists = [key for key in client.scan_iter("attributions.*") if client.type(key) == b"list"]
        queue = max(lists, key=client.llen)  # each priority has a list
        while task := client.lindex(queue, -1):  # as others' tasks, until there is no memory
            client.lpush(queue, task)
    os.kill(worker, signal.SIGKILL)
    return account.close(system)


def fill_cache(system: Started) -> Loss:
    """Have others fill the cache several times over, beside what was promised."""
    account = Account()
    for _ in islice(send_without_end(system, account, SHORT), REQUESTS):
        pass
    store_others_results(system)
    return account.close(system)


def store_others_results(system: Started) -> None:
    """Stores results that nobody asked for: several times as many as the cache holds."""
    with Redis.from_url(system.redis) as client:
        for start in range(0, OTHERS, TOGETHER):
            with client.pipeline(transaction=False) as pipe:
                for number in range(start, start + TOGETHER):
                    pipe.set(f"byline:result:{number:032x}", b"x" * SIZE, ex=86_400)
                pipe.execute(raise_on_error=False)


def cut_power(fsync: str) -> Course:
    """Returns the course that kills all at once, and keeps only what the disk has for certain.

    ``fsync`` is Valkey's ``appendfsync``, ``always`` or ``everysec``.
    """

    def course(system: Started) -> Loss:
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
        system.again()
        late = [id for id, accepted in account.accepted.items() if accepted > at]
        for id in late:
            if _status(system, id) == 404:
                del account.accepted[id]
                account.refused[TOO_LATE] += 1
        return account.close(system)

    return course


def send_without_end(system: Started, account: Account, characters: int) -> Iterator[None]:
    """Sends messages, and don't wait for their answers; note in each turn what becomes of them."""
    for number in count():
        texts = [f"{number} {place} {'aeiou ' * (characters // 6)}" for place in range(BULK)]
        body = {"messages": [{"text": text} for text in texts]}
        asked = request(system.target, f"{system.target.path}?wait=0", body)
        try:
            with DIRECT.open(asked, timeout=30) as response:
                items = json.load(response)["attributions"]
        except HTTPError as error:  # of all of them
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
    """Returns the status of an answer; 0: there is none."""
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
    """Returns the file that Valkey writes to."""
    return max(folder.glob("*.incr.aof"), key=lambda path: path.stat().st_mtime)
