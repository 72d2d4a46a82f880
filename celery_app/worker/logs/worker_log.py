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
    """Sets whether a worker that starts after this call logs lines of text or lines of JSON.

    Celery decides where the lines go, which levels are logged, and how the lines of text look.
    """

    def dress(logger: logging.Logger, **_: Any) -> None:
        for each in (logging.getLogger(), get_multiprocessing_logger(), logger):
            logs.set_formatters(each, PROCESS, form)

    after_setup_task_logger.connect(dress, weak=False)  # Celery sets this logger up last
    if form == "json":
        worker.safe_say = _safe_say
        _log_warnings()


def _log_warnings() -> None:
    """Writes Python's warnings to the log, as lines of JSON.

    The warnings have a log handler of their own, because Celery installs its handlers too late. If
    Celery runs as root, it issues a warning before it installs them.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines(PROCESS))
    logger = logging.getLogger("py.warnings")
    logger.addHandler(handler)
    logger.propagate = False
    logging.captureWarnings(True)


def _safe_say(line: str, _file: Any = None) -> None:
    """Writes a line to stderr in JSON, in the place of Celery's ``safe_say``.

    Celery calls ``safe_say`` when a signal stops a worker. Like Celery's function, this function
    writes straight to the file descriptor, because the signal may interrupt another write.
    """
    record = logging.LogRecord(worker.__name__, logging.INFO, "", 0, line, None, None)
    os.write(2, f"{JsonLines(PROCESS).format(record)}\n".encode())
