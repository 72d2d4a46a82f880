"""What Celery logs shows no text: not of what it discards, nor on a signal, nor when it debugs."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from celery.apps.worker import install_cry_handler
from celery.concurrency.base import BasePool

from celery_app.worker.log_redaction import StacksStep, redact

TEXT = "aubergines"


@pytest.fixture
def restored() -> Iterator[None]:
    before = signal.getsignal(signal.SIGUSR1)
    yield
    signal.signal(signal.SIGUSR1, before)


def test_the_signal_for_stacks_shows_no_variables(
    capfd: pytest.CaptureFixture[str], restored: None
) -> None:
    text = TEXT * 2  # a local variable, which Celery's handler would show
    install_cry_handler()
    StacksStep(SimpleNamespace()).start(SimpleNamespace())
    os.kill(os.getpid(), signal.SIGUSR1)
    shown = "".join(capfd.readouterr())
    assert "most recent call first" in shown
    assert "test_the_signal_for_stacks" in shown
    assert text not in shown


def test_the_debug_log_shows_no_arguments_of_celerys_own_tasks(
    caplog: pytest.LogCaptureFixture,
) -> None:
    redact()
    pool = BasePool()
    pool.on_apply = lambda *_, **__: None
    pool._does_debug = True
    with caplog.at_level(logging.DEBUG, "celery.pool"):
        pool.apply_async(print, [TEXT], {"text": TEXT})
    assert "TaskPool: Apply" in caplog.text
    assert TEXT not in caplog.text
