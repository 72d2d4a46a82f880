"""Sends a load, breaks something in the middle of the load, and counts each message's outcome."""

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

#: Number of messages that are sent.
MESSAGES = 2000
#: Messages a second.
RATE = 200.0
#: Share of the messages that is sent before the fault.
BREAKS_AT = 0.5
#: Maximum number of connections: more than any load needs, so that no message waits for a
#: connection.
CONNECTIONS = 2000
#: Seconds within which an undisturbed system answers.
PROMPT_S = 0.5
#: Seconds for which an answer that was promised with status 202 is requested.
PROMISE_S = 90.0


@dataclass(frozen=True, slots=True)
class Loss:
    """How many messages of a load had each outcome, and how long a fault disturbed the load."""

    sent: int
    answered: int
    #: Number of messages that were promised with status 202, and answered later.
    kept: int
    #: Number of messages that were promised with status 202, and never answered.
    broken: int
    #: Number of messages that were neither answered nor promised, by the reason.
    failed: dict[str, int]
    #: Seconds from the fault to the first answer to a request that was sent after the fault.
    recovered_s: float | None
    #: Seconds from the fault until the last disturbed request was due. A request is disturbed if it
    #: failed, was promised for later, or took longer than ``PROMPT_S``.
    disturbed_s: float

    @property
    def lost(self) -> dict[str, int]:
        """The number of messages that were never answered, as a mapping from reason to number."""
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
    """Sends ``number`` messages, calls ``strike`` during the load, and returns the outcome.

    ``rate`` is in messages a second. ``strike`` causes a fault. It is called when the share
    ``breaks_at`` of the messages is due, and its errors are raised after the load.

    If ``then_s`` is given, the load ends ``then_s`` seconds after ``strike`` has returned, or after
    ``number`` messages if these are sent earlier.

    Raises:
        RuntimeError: ``strike`` had not returned when the last message was due.
    """
    recorder = recorder or Recorder(passages)
    load = HttpLoad(target, messages, recorder, connections=CONNECTIONS, bulk=1, pacer=Pacer(rate))
    breaks_s = breaks_at * number / rate
    with ThreadPoolExecutor(2) as aside:
        injection = aside.submit(_after, breaks_s, strike)
        if then_s is not None:
            aside.submit(_stop, load, injection, then_s)
        began, _ = load.run(0.0, number / rate + 5, number)
        recorder.judge_kept()
        if injection.result() > began + number / rate:
            raise RuntimeError("the load ended before the fault was complete")
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
        if due > breaks_s and not latency < PROMPT_S  # NaN: the request failed
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
    """Waits ``seconds``, calls ``strike``, and returns the monotonic time after the call."""
    time.sleep(seconds)  # the load runs before the fault
    strike()
    return time.monotonic()


def _stop(load: HttpLoad, injection: Future[float], then_s: float) -> None:
    wait([injection])
    time.sleep(then_s)  # the load goes on after the fault
    load.stop()


def kill(pids: Sequence[int]) -> Callable[[], None]:
    """Returns a function that kills the first of ``pids`` with SIGKILL.

    Raises:
        RuntimeError: ``pids`` is empty.
    """
    if not pids:
        raise RuntimeError("no process that runs the model was found")
    return lambda: os.kill(pids[0], signal.SIGKILL)


def count_kept(target: Target, paths: Sequence[str]) -> int:
    """Returns how many promised answers come within ``PROMISE_S`` seconds.

    The api has promised these answers with status 202. ``paths`` are the URL paths of the answers.
    """
    until = time.monotonic() + PROMISE_S
    waiting = list(paths)
    while waiting and time.monotonic() < until:
        waiting = [path for path in waiting if not _is_answered(target, path)]
        time.sleep(0.5 if waiting else 0.0)  # between two rounds, until the deadline
    return len(paths) - len(waiting)


def _is_answered(target: Target, path: str) -> bool:
    try:
        with DIRECT.open(request(target, path), timeout=10) as response:
            return bool(response.status == 200 and "author" in json.load(response))
    except (OSError, HTTPException, ValueError):  # there is no answer yet
        return False
