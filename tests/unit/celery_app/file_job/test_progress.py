"""The progress of a file job: lines for a log, a bar on a terminal, and the summary."""

from __future__ import annotations

import sys
import time
from io import StringIO

import pytest

from celery_app.file_job import progress
from celery_app.file_job.progress import make_report
from celery_app.file_job.results import Counts
from celery_app.file_job.summary import summary


class Terminal(StringIO):
    """A standard error that looks like a terminal."""

    def isatty(self) -> bool:
        return True


class Clock:
    """A clock that a test sets, in seconds."""

    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock.monotonic)
    return clock


def test_a_log_gets_a_line_now_and_then(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    report = make_report(10_000, Counts())
    for second in range(1, 32):
        clock.now = 100 + second
        report.update(Counts(offset=100 * second, rows=10 * second))
    assert capsys.readouterr().err.splitlines() == [
        "byline: 150 rows, 10/s, 15%, 0:01:25 left",
        "byline: 300 rows, 10/s, 30%, 0:01:10 left",
    ]


def test_an_input_of_unknown_size_has_no_time_left(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    report = make_report(None, Counts())
    clock.now += progress.LINE_S
    report.update(Counts(offset=100, rows=3000))
    assert capsys.readouterr().err == "byline: 3,000 rows, 200/s\n"


def test_a_wait_is_told_once_until_a_while_has_passed_or_the_reason_is_another(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    report = make_report(1000, Counts())
    report.waits("no worker")
    report.waits("no worker")
    report.waits("no broker")
    clock.now += progress.LINE_S
    report.waits("no broker")
    report.update(Counts(10, 1))
    report.waits("no broker")
    said = capsys.readouterr().err.splitlines()
    assert said == [f"byline: waits: {reason}" for reason in ("no worker", *["no broker"] * 3)]


def test_a_terminal_gets_a_bar_and_lines_above_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    monkeypatch.setenv("TERM", "xterm")
    report = make_report(1000, Counts())
    report.update(Counts(500, 1234))
    report.waits("no [worker]")
    report.waits("no [worker]")
    report.close()
    shown = terminal.getvalue()
    assert " 50%" in shown
    assert "1,234 rows" in shown
    assert shown.count("byline: waits: no [worker]") == 1


def test_the_summary_counts_each_kind_of_result() -> None:
    counts = Counts(0, 1_000_000, 600_000, 399_000, {"invalid": 990, "dead_letter": 10})
    assert summary(counts, 400_000, 3725.0, "out.jsonl") == [
        "1,000,000 rows, 400,000 of them before this start; 1:02:05, 161 rows/s",
        (
            "600,000 attributions with an author; 399,000 abstentions, whose author is null; "
            "1,000 errors: dead_letter 10, invalid 990"
        ),
        "the results are in out.jsonl",
    ]
    assert len(summary(Counts(), 0, 0.1, "-")) == 2
