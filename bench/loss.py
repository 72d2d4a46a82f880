"""What is lost when the process that runs the model is killed: kill -9 in the middle of a load."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.client import HTTPException

from bench.load import HttpLoad
from bench.messages import Message, Passage
from bench.pacer import Pacer
from bench.recorder import Recorder
from bench.wire import Target

#: Messages sent, their rate, and the share of them after which the process is killed.
MESSAGES, RATE, KILL_AT = 2000, 200.0, 0.5
#: Connections; more than are ever needed, so that none waits for one.
CONNECTIONS = 2000
#: Seconds for which an answer that was promised for later is asked for.
PROMISE_S = 90.0


@dataclass(frozen=True, slots=True)
class Loss:
    """What became of the messages."""

    sent: int
    answered: int
    #: Promised for later, and then there.
    kept: int
    #: Neither: by the reason.
    lost: dict[str, int]
    killed: int
    #: Seconds from the kill to the first answer to a request that was sent after it.
    recovered_s: float | None


def measure(
    target: Target,
    messages: Iterator[Message],
    passages: list[Passage],
    model_pids: Callable[[], list[int]],
) -> Loss:
    """Send :data:`MESSAGES` at :data:`RATE`, kill one model process half way, and count.

    Raises:
        RuntimeError: there is no such process.
    """
    recorder = Recorder(passages)
    load = HttpLoad(target, messages, recorder, connections=CONNECTIONS, bulk=1, pacer=Pacer(RATE))
    pids = model_pids()
    if not pids:
        raise RuntimeError("no process that runs the model was found")
    kill_s = KILL_AT * MESSAGES / RATE
    killer = threading.Timer(kill_s, os.kill, (pids[0], signal.SIGKILL))
    killer.start()
    load.run(0.0, MESSAGES / RATE + 5, MESSAGES)
    killer.join()
    kept = _kept(target, recorder.promised)
    lost = dict(recorder.failed)
    lost.pop(Recorder.PROMISED, None)
    if broken := len(recorder.promised) - kept:
        lost["promised, never there"] = broken
    after = [
        due + latency - kill_s
        for due, latency in zip(recorder.due, recorder.latency, strict=True)
        if due > kill_s and latency == latency
    ]
    return Loss(
        sum(recorder.sent),
        sum(recorder.answered),
        kept,
        lost,
        pids[0],
        min(after, default=None),
    )


def _kept(target: Target, places: list[str]) -> int:
    until = time.monotonic() + PROMISE_S
    waiting = list(places)
    while waiting and time.monotonic() < until:
        waiting = [place for place in waiting if not _there(target, place)]
        time.sleep(0.5 if waiting else 0.0)  # between two rounds, until the deadline
    return len(places) - len(waiting)


def _there(target: Target, place: str) -> bool:
    url = f"http://{target.host}:{target.port}{place}"
    try:
        with urllib.request.urlopen(url, timeout=10) as response:
            return bool(response.status == 200 and "author" in json.load(response))
    except (OSError, HTTPException, ValueError):  # not there yet
        return False
