"""Keeps message texts out of Celery's log.

Where Celery discards what it can't make sense of, such as a task of an unknown name, it logs the
whole body and the headers, and both may hold texts.
"""

from __future__ import annotations

import logging

#: Celery's logger for what it receives and discards.
LOGGER = "celery.worker.consumer.consumer"
#: How its messages begin that show bodies: what comes behind the first line is the body.
SHOWING = (
    "Received and deleted unknown message",
    "Received unregistered task of type",
    "Received invalid task message",
    "Can't decode message body",
)


class Redaction(logging.Filter):
    """Leaves of such a message only its first words."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Redact ``record`` if need be; let everything pass."""
        shown = str(record.msg)
        for beginning in SHOWING:
            if shown.startswith(beginning):
                record.msg = f"{beginning} …: a message was discarded, what it held is not shown"
                record.args = ()
                record.exc_info = None
                record.exc_text = None
        return True


def redact() -> None:
    """Have Celery's logger redacted. Twice is as good as once."""
    logger = logging.getLogger(LOGGER)
    if not any(isinstance(filter, Redaction) for filter in logger.filters):
        logger.addFilter(Redaction())
