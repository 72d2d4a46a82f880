"""Keeps message texts out of Celery's log.

Where Celery discards what it can't make sense of, such as a task of an unknown name, it logs the
whole body and the headers, and both may hold texts. Its debug log shows the arguments of Celery's
own tasks, and on SIGUSR1 it logs the local variables of all threads.
"""

from __future__ import annotations

import faulthandler
import logging
import signal
from typing import Any

from celery import bootsteps

#: Celery's loggers for what it receives and discards, and for what it gives to the pool.
LOGGERS = ("celery.worker.consumer.consumer", "celery.pool")
#: How its messages begin that show bodies: what comes behind the first line is the body.
SHOWING = (
    "Received and deleted unknown message",
    "Received unregistered task of type",
    "Received invalid task message",
    "Can't decode message body",
    "TaskPool: Apply",
)


class Redaction(logging.Filter):
    """Leaves of such a message only its first words."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Redact ``record`` if need be; let everything pass."""
        shown = str(record.msg)
        for beginning in SHOWING:
            if shown.startswith(beginning):
                record.msg = f"{beginning} …: what the message holds is not shown"
                record.args = ()
                record.exc_info = None
                record.exc_text = None
        return True


def redact() -> None:
    """Have Celery's loggers redacted. Twice is as good as once."""
    for logger in map(logging.getLogger, LOGGERS):
        if not any(isinstance(filter, Redaction) for filter in logger.filters):
            logger.addFilter(Redaction())


class StacksStep(bootsteps.StartStopStep):
    """Has SIGUSR1 log where each thread is, without the local variables that Celery would show."""

    def start(self, worker: Any) -> None:
        """Take the signal over: by now Celery's own handler is installed."""
        # To the descriptor: Celery has put an object of its own in the place of sys.stderr.
        faulthandler.register(signal.SIGUSR1, file=2)
