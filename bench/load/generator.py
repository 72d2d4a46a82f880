"""The load generator, a process of its own: what it does must not wait for who looks on.

It is told what to do in a :class:`Job`, says once a second how it goes, and ends with its record.
"""

from __future__ import annotations

import gc
import math
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection as Pipe
from pathlib import Path

import numpy as np

from bench.load import messages
from bench.load.celery_load import CeleryLoad
from bench.load.http_client import Target
from bench.load.load import HttpLoad
from bench.load.recorder import Recorder
from bench.load.scenario import Scenario
from bench.load.schedule import Pacer

#: Messages a second that are made ready for a closed loop: more than two cores answer.
CLOSED_RATE = 12_000


@dataclass(frozen=True, slots=True)
class Job:
    """One load: where it goes, and which passages are sent."""

    scenario: Scenario
    target: Target
    #: Of the broker and the result backend, for the way straight to Celery.
    redis: str
    passages: Path
    #: Where the variants of passages begin, so that two runs do not send the same.
    run: int
    #: Messages that are made ready before it begins; None: all that will be sent.
    ready: int | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """How it goes, since the measuring began."""

    #: Requests that have ended, and messages that failed.
    requests: int
    failed: int
    #: Of the requests that ended since the last look, in seconds; None where none was answered.
    p95: float | None


@dataclass(frozen=True, slots=True)
class Record:
    """All that was noted."""

    recorder: Recorder
    #: Monotonic time at which the measuring began, and for how many seconds it went on.
    began: float
    seconds: float
    #: CPU time of this process while it sent, in cores.
    cpu: float


def main(job: Job, pipe: Pipe) -> None:
    """Runs ``job``; sends a :class:`Progress` a second, and in the end a :class:`Record`."""
    early = threading.Event()
    for sign in (signal.SIGINT, signal.SIGTERM):  # before anything that takes time
        signal.signal(sign, lambda *_: early.set())
    passages = messages.read(job.passages)
    recorder = Recorder(passages)
    load = _load(job, messages.stream(passages, job.scenario.mix, job.run), recorder)
    for sign in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sign, lambda *_: load.stop())
    if early.is_set():
        load.stop()
    if isinstance(load, HttpLoad):
        load.prepare(_messages(job.scenario) if job.ready is None else job.ready)
    gc.collect()
    gc.freeze()  # looking through what there is by now for garbage would show as latency
    over = threading.Event()
    teller = threading.Thread(target=_tell, args=(recorder, pipe, over))
    teller.start()
    wall, cpu = time.monotonic(), time.process_time()
    scenario = job.scenario
    began, seconds = load.run(scenario.warmup_seconds, scenario.seconds, scenario.most_messages)
    cores = (time.process_time() - cpu) / (time.monotonic() - wall)
    over.set()
    teller.join()
    recorder.judge_kept()
    pipe.send(Record(recorder, began, seconds, cores))


def _tell(recorder: Recorder, pipe: Pipe, over: threading.Event) -> None:
    seen = 0
    while not over.wait(1.0):
        latencies = np.array(recorder.latency[seen:], np.float32)
        seen += len(latencies)
        answered = latencies[~np.isnan(latencies)]
        p95 = float(np.percentile(answered, 95)) if len(answered) else None
        pipe.send(Progress(seen, sum(recorder.failed.values()), p95))


def _messages(scenario: Scenario) -> int:
    """Returns how many messages the load will send, at most where that is not known."""
    seconds = scenario.warmup_seconds + scenario.seconds
    return min(scenario.most_messages, math.ceil((scenario.rate or CLOSED_RATE) * seconds))


def _load(job: Job, drawn: Iterator[messages.Message], recorder: Recorder) -> HttpLoad | CeleryLoad:
    scenario = job.scenario
    pacer = None if scenario.request_rate is None else Pacer(scenario.request_rate)
    common = {"connections": scenario.connections, "bulk": scenario.bulk, "pacer": pacer}
    if scenario.way == "celery":
        return CeleryLoad(job.redis, drawn, recorder, **common)
    return HttpLoad(job.target, drawn, recorder, **common, deadline_ms=scenario.deadline_ms)
