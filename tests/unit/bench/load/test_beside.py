"""Tests of the second load, with its own API key, beside the measured load."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from api.access.keys import Keys
from bench.load import beside
from bench.load.beside import GREEDY, MEASURED, greedy, write_keys
from bench.load.generator import Job
from bench.load.http_client import Target, render
from bench.load.messages import Message
from bench.load.scenario import Beside, Scenario, load
from tests.unit.bench.load.test_load import ONE, PASSAGES, Server

SCENARIO = Scenario(title="x", rate=10, beside=Beside(connections=2, bulk=3))


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server(lambda number, body: (200, {"attributions": [ONE] * 3}))
    yield server
    server.close()


def job(port: int, folder: Path, scenario: Scenario) -> Job:
    passages = folder / "passages.jsonl"
    passages.write_text("\n".join(json.dumps(passage._asdict()) for passage in PASSAGES))
    return Job(scenario, Target("127.0.0.1", port, "/", MEASURED), "", passages, 0)


def test_the_api_knows_both_keys_and_limits_neither(tmp_path: Path) -> None:
    keys = Keys.read(write_keys(tmp_path))
    found = [keys.find(f"Bearer {key}") for key in (MEASURED, GREEDY)]
    assert [key and (key.name, key.rate) for key in found] == [("measured", None), ("greedy", None)]


def test_a_request_comes_with_its_key() -> None:
    message = [Message(0, "text")]
    wire = render(Target("host", 80, "/", "secret"), message, False)
    assert b"\r\nAuthorization: Bearer secret\r\n" in wire
    assert b"Authorization" not in render(Target("host", 80, "/"), message, False)


def test_the_second_load_runs_during_the_block_and_returns_its_record(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beside, "READY", 30)
    with greedy(job(server.port, tmp_path, SCENARIO)) as other:
        assert other.record is None
    assert other.record is not None
    recorder = other.record.recorder
    assert set(recorder.sent) == {3}
    assert sum(recorder.answered) == sum(recorder.sent) > 30
    assert not recorder.failed


def test_a_scenario_without_a_second_load_runs_alone(tmp_path: Path) -> None:
    alone = msgspec.structs.replace(SCENARIO, beside=None)
    with greedy(job(1, tmp_path, alone)) as other:
        pass
    assert other.record is None


def test_the_greedy_key_asks_for_more_than_the_model_can_do() -> None:
    fair = load("fair")
    assert fair.beside is not None
    assert fair.deadline_ms is not None
    # The model of tests.accelerated computes 430 messages a second.
    assert fair.beside.connections * fair.beside.bulk / 430 > 2 * fair.deadline_ms / 1000
