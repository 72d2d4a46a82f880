"""Formats the lines of the worker's log.

Celery decides where the lines go and which levels are logged.
"""

from __future__ import annotations

import logging
import os
from typing import Any

from celery.apps import worker
from celery.signals import after_setup_task_logger
from celery.utils.log import get_multiprocessing_logger

from monitoring.instruments import logs
from monitoring.instruments.logs import Format, JsonLines

#: The name of the process in log lines.
PROCESS = "worker"


def set_up(form: Format) -> None:
    """Sets the format of log lines for a worker that starts after this call.

    Celery decides where the worker logs to, at which level, and how lines of text look.
    """

    def dress(logger: logging.Logger, **_: Any) -> None:
        for each in (logging.getLogger(), get_multiprocessing_logger(), logger):
            logs.set_formatters(each, PROCESS, form)

    after_setup_task_logger.connect(dress, weak=False)  # Celery sets this logger up last
    if form == "json":
        worker.safe_say = _safe_say
        _log_warnings()


def _log_warnings() -> None:
    """Sends Python's warnings to the log. Run as root, Celery warns before its log is set up."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines(PROCESS))
    logger = logging.getLogger("py.warnings")
    logger.addHandler(handler)
    logger.propagate = False
    logging.captureWarnings(True)


def _safe_say(line: str, _file: Any = None) -> None:
    """Replaces the function with which Celery writes a line when a signal stops a worker.

    Like Celery's function, this function writes to the file descriptor, because the signal may
    come in the middle of another line.
    """
    record = logging.LogRecord(worker.__name__, logging.INFO, "", 0, line, None, None)
    os.write(2, f"{JsonLines(PROCESS).format(record)}\n".encode())
