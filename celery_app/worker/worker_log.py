"""The worker's log: what Celery sets up, with Byline's lines."""

from __future__ import annotations

import logging
import os
from typing import Any

from celery.apps import worker
from celery.signals import after_setup_task_logger
from celery.utils.log import get_multiprocessing_logger

from monitoring.instruments import logs
from monitoring.instruments.logs import Format, JsonLines

#: What the lines say that they are from.
PROCESS = "worker"


def set_up(form: Format) -> None:
    """Has a worker that starts after this log so.

    Celery decides where it logs to, how much, and how text looks.
    """

    def dress(logger: logging.Logger, **_: Any) -> None:
        for each in (logging.getLogger(), get_multiprocessing_logger(), logger):
            logs.dress(each, PROCESS, form)

    after_setup_task_logger.connect(dress, weak=False)  # the last of the loggers that it sets up
    if form == "json":
        worker.safe_say = _say
        _log_warnings()


def _log_warnings() -> None:
    """Has warnings of Python logged: Celery gives one, of a user who may do all, before its log."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines(PROCESS))
    logger = logging.getLogger("py.warnings")
    logger.addHandler(handler)
    logger.propagate = False
    logging.captureWarnings(True)


def _say(words: str, _file: Any = None) -> None:
    """Takes the place of what Celery writes past its log when a signal stops the worker.

    It writes to the descriptor, as Celery does: the signal may have come in the middle of a line.
    """
    record = logging.LogRecord(worker.__name__, logging.INFO, "", 0, words, None, None)
    os.write(2, f"{JsonLines(PROCESS).format(record)}\n".encode())
