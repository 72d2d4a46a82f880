"""Tests of a scaling study's tables on the terminal."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from bench.scaling import table
from bench.scaling.redis_usage import Cost
from bench.scaling.results import Point, Replay, Round, Study, Usage
from tests.unit.bench.runs import MACHINE

CPU = {"api": 0.1, "worker": 0.4, "valkey": 0.05, "rest": 0.02, "generator": 0.03}


def point(count: int, *rates: float) -> Point:
    rounds = [Round(rate, 512.0, 0, CPU, 0.01 * n) for n, rate in enumerate(rates)]
    return Point("HTTP, one by one", count, rounds)


def study(**changes: object) -> Study:
    calls = {"set": 1.0, "hset": 0.04, "mget": 0.09, "ping": 0.0001}
    fields: dict[str, object] = {
        "ended": "2026-11-24T10:00:00Z",
        "machine": MACHINE,
        "seconds": 10.0,
        "workers": [point(1, 400.0, 390.0, 410.0), point(8, 3000.0, 3100.0, 3200.0)],
        "api": [],
        "redis": [Usage("64 connections", [Cost(40_000, 4000.0, calls, 40.0, 41.0, 1234.0)])],
        "replays": [Replay("64 connections", 5000, 9000, [0.05])],
    }
    return Study(**fields | changes)  # type: ignore[arg-type]


def shown(one: Study) -> str:
    console = Console(file=io.StringIO(), width=80)
    table.show(one, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize(
    "words",
    [
        *("3,100", "3,000", "3,200", "7.75", "512 ms"),  # eight workers
        *("129 µs", "0.60", "0.02"),  # CPU time a message, all cores, other programs
        *("25.0", "1.13", "1,234", "41.0 µs", "40.0 µs", "25,000/s"),  # Valkey
        *("1.000", "0.040", "0.090"),  # commands
        "9,000 commands of 5,000 messages: its core is full at 100,000 messages/s",
    ],
)
def test_shows(words: str) -> None:
    assert words in shown(study())


def test_a_rare_command_is_not_shown() -> None:
    assert "ping" not in shown(study())


def test_a_part_that_was_not_measured_is_not_shown() -> None:
    text = shown(study(workers=[], redis=[], replays=[], api=[point(1, 100.0)]))
    assert "api processes" in text
    assert "workers" not in text
    assert "Valkey" not in text
