"""Keeps message texts out of Celery's log.

Celery logs the whole body and the headers of a task that it discards. Celery's debug log shows the
arguments of tasks. Bodies, headers and arguments may hold message texts.
"""

from __future__ import annotations

import logging

#: Celery's loggers for tasks that it discards, and for tasks that it gives to the pool.
LOGGERS = ("celery.worker.consumer.consumer", "celery.pool")
#: Beginnings of log lines that show a body or arguments.
SHOWING = (
    "Received and deleted unknown message",
    "Received unregistered task of type",
    "Received invalid task message",
    "Can't decode message body",
    "TaskPool: Apply",
)


class Redaction(logging.Filter):
    """Cuts a log line off after its first words if the line may contain a message text."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Redacts a log record if it may show a text. Returns True: no record is dropped."""
        line = str(record.msg)
        for beginning in SHOWING:
            if line.startswith(beginning):
                record.msg = f"{beginning} …: what the message holds is not shown"
                record.args = ()
                record.exc_info = None
                record.exc_text = None
        return True


def redact() -> None:
    """Adds the redaction to Celery's loggers, unless they have it already."""
    for logger in map(logging.getLogger, LOGGERS):
        if not any(isinstance(filter, Redaction) for filter in logger.filters):
            logger.addFilter(Redaction())
