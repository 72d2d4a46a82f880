"""The load generator: a process of its own, so that no other work of the benchmark delays it.

The input of the process is a :class:`Job`, and the result is a :class:`Record`.
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

#: Messages a second for which a closed loop prepares requests: more than two cores can answer.
CLOSED_RATE = 12_000


@dataclass(frozen=True, slots=True)
class Job:
    """The input of the load generator: the scenario, the target, and the passages to send."""

    scenario: Scenario
    target: Target
    #: URL of the broker and result backend, for scenarios that send Celery tasks.
    redis: str
    passages: Path
    #: The number of the first variant of each passage, so that two runs send different messages.
    run: int
    #: Number of messages that are rendered before the load begins; None for all messages.
    ready: int | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """The counts of a load since its measurement began, sent once a second."""

    #: Requests that have ended.
    requests: int
    #: Messages that failed.
    failed: int
    #: P95 latency in seconds of the requests that ended since the last report; None if none ended.
    p95: float | None


@dataclass(frozen=True, slots=True)
class Record:
    """The result of a load: the recorder with its figures, the measured time, and the CPU use."""

    recorder: Recorder
    #: Monotonic time at which the measurement began, in seconds.
    began: float
    #: Seconds that were measured.
    seconds: float
    #: CPU time that the generator used while it sent messages, in cores.
    cpu: float


def main(job: Job, pipe: Pipe) -> None:
    """Runs the load that ``job`` describes.

    Sends a :class:`Progress` to ``pipe`` each second, and a :class:`Record` at the end.
    """
    early = threading.Event()
    for sign in (signal.SIGINT, signal.SIGTERM):  # set before the slow steps below
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
    gc.freeze()  # a garbage collection of all objects so far would show as latency
    over = threading.Event()
    reporter = threading.Thread(target=_report, args=(recorder, pipe, over))
    reporter.start()
    wall, cpu = time.monotonic(), time.process_time()
    scenario = job.scenario
    began, seconds = load.run(scenario.warmup_seconds, scenario.seconds, scenario.most_messages)
    cores = (time.process_time() - cpu) / (time.monotonic() - wall)
    over.set()
    reporter.join()
    recorder.judge_kept()
    pipe.send(Record(recorder, began, seconds, cores))


def _report(recorder: Recorder, pipe: Pipe, over: threading.Event) -> None:
    seen = 0
    while not over.wait(1.0):
        latencies = np.array(recorder.latency[seen:], np.float32)
        seen += len(latencies)
        answered = latencies[~np.isnan(latencies)]
        p95 = float(np.percentile(answered, 95)) if len(answered) else None
        pipe.send(Progress(seen, sum(recorder.failed.values()), p95))


def _messages(scenario: Scenario) -> int:
    """Returns how many messages the load will send.

    A closed loop sends as many messages as the system answers. For such a loop, the number is an
    estimate: it assumes that the system answers ``CLOSED_RATE`` messages/s.
    """
    seconds = scenario.warmup_seconds + scenario.seconds
    return min(scenario.most_messages, math.ceil((scenario.rate or CLOSED_RATE) * seconds))


def _load(job: Job, drawn: Iterator[messages.Message], recorder: Recorder) -> HttpLoad | CeleryLoad:
    scenario = job.scenario
    pacer = None if scenario.request_rate is None else Pacer(scenario.request_rate)
    common = {"connections": scenario.connections, "bulk": scenario.bulk, "pacer": pacer}
    if scenario.way == "celery":
        return CeleryLoad(job.redis, drawn, recorder, **common)
    return HttpLoad(job.target, drawn, recorder, **common, deadline_ms=scenario.deadline_ms)
