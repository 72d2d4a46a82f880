"""Background threads repeat their step also after an error."""

from __future__ import annotations

import logging
import threading

import pytest

from monitoring.instruments import background
from monitoring.instruments.background import Failures, guarded
from tests.parts import wait_for


def test_step_is_repeated_after_it_raises(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(background, "FIRST_PAUSE_S", 0.001)
    stop, attempts = threading.Event(), iter(range(1000))
    reached = threading.Event()

    def step() -> None:
        if next(attempts) < 3:
            raise OSError("too many open files")
        reached.set()
        stop.set()

    thread = background.start(step, "a step", stop)
    assert reached.wait(5)
    thread.join(5)
    assert not thread.is_alive()
    logged = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [record.message for record in logged] == ["a step failed, and is tried again"]


def test_failures_of_one_kind_are_logged_once_a_minute(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    failures = Failures("a step")
    for error in (OSError(), OSError(), ValueError(), OSError()):
        failures.add(error)
    assert len(caplog.records) == 2
    monkeypatch.setattr(background, "QUIET_S", 0.0)
    failures.add(OSError())
    assert len(caplog.records) == 3


def test_pause_doubles_until_the_step_succeeds() -> None:
    failures = Failures("a step")
    assert [failures.add(OSError()) for _ in range(6)] == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]
    failures.reset()
    assert failures.add(OSError()) == 0.5


def test_guarded_step_logs_its_error_and_raises_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def step() -> None:
        raise KeyError("a defect")

    call = guarded(step, "a timer")
    call()
    call()
    assert len(caplog.records) == 1


def test_thread_ends_during_a_pause_when_it_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "FIRST_PAUSE_S", 60.0)
    stop, failed = threading.Event(), threading.Event()

    def step() -> None:
        failed.set()
        raise OSError

    thread = background.start(step, "a step", stop)
    assert failed.wait(5)
    stop.set()
    wait_for(lambda: not thread.is_alive(), 5, "its end")
