"""Celery's debug log and its stack dump on SIGUSR1 show no message texts."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from celery.apps.worker import install_cry_handler
from celery.concurrency.base import BasePool

from celery_app.worker.bootsteps.worker_steps import StackDumpStep
from celery_app.worker.log_redaction import redact

TEXT = "aubergines"


@pytest.fixture
def restored() -> Iterator[None]:
    before = signal.getsignal(signal.SIGUSR1)
    yield
    signal.signal(signal.SIGUSR1, before)


def test_the_stack_dump_on_sigusr1_shows_no_local_variables(
    capfd: pytest.CaptureFixture[str], restored: None
) -> None:
    text = TEXT * 2  # a local variable, which Celery's own handler would show
    install_cry_handler()
    StackDumpStep(SimpleNamespace()).start(SimpleNamespace())
    os.kill(os.getpid(), signal.SIGUSR1)
    shown = "".join(capfd.readouterr())
    assert "most recent call first" in shown
    assert "test_the_stack_dump" in shown
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
