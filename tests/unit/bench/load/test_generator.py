"""Tests of the load generator's process: it reports its progress, and a signal ends it early."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from collections.abc import Iterator
from multiprocessing.connection import Connection as Pipe
from pathlib import Path

import pytest

from bench.load import generator
from bench.load.generator import Job, Progress, Record
from bench.load.http_client import Target
from bench.load.scenario import Scenario
from tests.unit.bench.load.test_load import ONE, PASSAGES, Server


@pytest.fixture
def server() -> Iterator[Server]:
    """A server that refuses every tenth message."""
    server = Server(lambda n, body: (503, {"code": "overloaded"}) if n % 10 == 9 else (200, ONE))
    yield server
    server.close()


def start(server: Server, folder: Path, scenario: Scenario) -> tuple[Pipe, int]:
    """Starts the generator, and returns its pipe and its process id."""
    passages = folder / "passages.jsonl"
    passages.write_text("\n".join(json.dumps(passage._asdict()) for passage in PASSAGES))
    job = Job(scenario, Target("127.0.0.1", server.port, "/"), "", passages, 0, ready=1_000)
    ours, theirs = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=generator.main, args=(job, theirs), daemon=True)
    process.start()
    theirs.close()
    assert process.pid
    return ours, process.pid


def until_record(pipe: Pipe) -> Record:
    while True:
        assert pipe.poll(20)
        report = pipe.recv()
        if isinstance(report, Record):
            return report


@pytest.mark.parametrize("rate", [200.0, None])
def test_a_stopped_load_returns_the_record_so_far(
    server: Server, tmp_path: Path, rate: float | None
) -> None:
    # On a fast machine, a closed loop sends 50,000 messages in less than a second, before its first
    # report. The default limit of the scenario is 40 times as many.
    scenario = Scenario(title="x", rate=rate, connections=4, seconds=600, warmup_seconds=0)
    pipe, pid = start(server, tmp_path, scenario)
    assert pipe.poll(60)
    progress = pipe.recv()
    assert isinstance(progress, Progress)
    assert progress.requests > 50
    assert 0.05 < progress.failed / progress.requests < 0.15  # before the answers are judged
    assert progress.p95 is not None
    os.kill(pid, signal.SIGTERM)
    record = until_record(pipe)
    recorder = record.recorder
    assert 0.9 < record.seconds < 20
    sent = sum(recorder.sent)
    assert sent >= progress.requests
    assert recorder.failed == {"overloaded": sent // 10}
    assert sum(recorder.answered) == len(recorder.right) == sent - sent // 10


def test_a_load_that_is_stopped_during_the_warm_up_has_an_empty_record(
    server: Server, tmp_path: Path
) -> None:
    scenario = Scenario(title="x", rate=200, seconds=600, warmup_seconds=600)
    pipe, pid = start(server, tmp_path, scenario)
    assert pipe.poll(60)
    os.kill(pid, signal.SIGTERM)
    record = until_record(pipe)
    assert (record.seconds, list(record.recorder.sent)) == (0.0, [])
