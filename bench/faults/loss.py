"""What is lost when something breaks in the middle of a load: every message is accounted for."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from http.client import HTTPException

from bench.load.http_client import Target
from bench.load.load import HttpLoad
from bench.load.messages import Message, Passage
from bench.load.recorder import Recorder
from bench.load.schedule import Pacer
from bench.system.direct import DIRECT, request

#: Messages sent, their rate, and the share of them after which it breaks.
MESSAGES, RATE, BREAKS_AT = 2000, 200.0, 0.5
#: Connections; more than are ever needed, so that none waits for one.
CONNECTIONS = 2000
#: Seconds within which an answer is there when all is well.
PROMPT_S = 0.5
#: Seconds for which an answer that was promised for later is asked for.
PROMISE_S = 90.0


@dataclass(frozen=True, slots=True)
class Loss:
    """What became of the messages."""

    sent: int
    answered: int
    #: Promised for later, and then there.
    kept: int
    #: Promised for later, and never there.
    broken: int
    #: Neither answered nor promised: by the reason that was given, if one was.
    failed: dict[str, int]
    #: Seconds from the breaking to the first answer to a request that was sent after it.
    recovered_s: float | None
    #: Seconds from the breaking until the last request was due that then failed, was promised for
    #: later, or took longer than ``PROMPT_S``.
    disturbed_s: float

    @property
    def lost(self) -> dict[str, int]:
        """All that was not answered, by the reason."""
        return self.failed | ({"promised, never there": self.broken} if self.broken else {})


def measure(
    target: Target,
    messages: Iterator[Message],
    passages: list[Passage],
    strike: Callable[[], None],
    number: int = MESSAGES,
    rate: float = RATE,
    recorder: Recorder | None = None,
    breaks_at: float = BREAKS_AT,
    then_s: float | None = None,
) -> Loss:
    """Sends ``number`` messages at ``rate``, a second; after a share of them, ``strike()``; count.

    With ``then_s`` the load ends that many seconds after ``strike`` has returned, and ``number`` is
    the most. What ``strike`` raises is raised once the load is over.

    Raises:
        RuntimeError: it took longer than the load, which so had little of it.
    """
    recorder = recorder or Recorder(passages)
    load = HttpLoad(target, messages, recorder, connections=CONNECTIONS, bulk=1, pacer=Pacer(rate))
    breaks_s = breaks_at * number / rate
    with ThreadPoolExecutor(2) as aside:
        breaking = aside.submit(_after, breaks_s, strike)
        if then_s is not None:
            aside.submit(_stop, load, breaking, then_s)
        began, _ = load.run(0.0, number / rate + 5, number)
        recorder.judge_kept()
        if breaking.result() > began + number / rate:
            raise RuntimeError("the load was over before all was broken")
    kept = count_kept(target, recorder.promised)
    failed = dict(recorder.failed)
    failed.pop(Recorder.PROMISED, None)
    after = [
        due + latency - breaks_s
        for due, latency in zip(recorder.due, recorder.latency, strict=True)
        if due > breaks_s and latency == latency
    ]
    disturbed = [
        due - breaks_s
        for due, latency in zip(recorder.due, recorder.latency, strict=True)
        if due > breaks_s and not latency < PROMPT_S  # NaN: it failed
    ]
    return Loss(
        sum(recorder.sent),
        sum(recorder.answered),
        kept,
        len(recorder.promised) - kept,
        failed,
        min(after, default=None),
        max(disturbed, default=0.0),
    )


def _after(seconds: float, strike: Callable[[], None]) -> float:
    """Returns the monotonic time at which it was done."""
    time.sleep(seconds)  # into the load
    strike()
    return time.monotonic()


def _stop(load: HttpLoad, breaking: Future[float], then_s: float) -> None:
    wait([breaking])
    time.sleep(then_s)  # of load, after the fault
    load.stop()


def kill(pids: Sequence[int]) -> Callable[[], None]:
    """Returns what kills the first of some processes with -9.

    Raises:
        RuntimeError: there is none.
    """
    if not pids:
        raise RuntimeError("no process that runs the model was found")
    return lambda: os.kill(pids[0], signal.SIGKILL)


def count_kept(target: Target, places: Sequence[str]) -> int:
    """Returns how many answers, which were promised, are there within ``PROMISE_S`` seconds."""
    until = time.monotonic() + PROMISE_S
    waiting = list(places)
    while waiting and time.monotonic() < until:
        waiting = [place for place in waiting if not _there(target, place)]
        time.sleep(0.5 if waiting else 0.0)  # between two rounds, until the deadline
    return len(places) - len(waiting)


def _there(target: Target, place: str) -> bool:
    try:
        with DIRECT.open(request(target, place), timeout=10) as response:
            return bool(response.status == 200 and "author" in json.load(response))
    except (OSError, HTTPException, ValueError):  # not there yet
        return False
