"""How Byline's processes log: as text, or as JSON, one object a line. Both name the requests."""

from __future__ import annotations

import logging
import logging.config
from datetime import UTC, datetime
from typing import Any, Literal

from pythonjsonlogger.json import JsonFormatter

from monitoring.instruments import request_ids

Format = Literal["text", "json"]

#: A line of text, where no library has a form of its own for it.
TEXT = "%(levelname)s %(name)s: %(message)s"
#: Loggers of servers that give them handlers of their own; their lines are to be like all others.
SERVERS = ("gunicorn.access", "gunicorn.error")


class JsonLines(JsonFormatter):
    """Writes a record as a JSON object, on one line.

    It leaves out what was logged as ``extra``: there Celery adds the arguments of tasks.
    """

    def __init__(self, process: str) -> None:
        """``process`` says what kind of process logs: ``api``, ``worker`` or ``monitor``."""
        super().__init__()
        self._process = process

    def add_fields(
        self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]
    ) -> None:
        """Fills ``log_data`` with what the line holds."""
        at = datetime.fromtimestamp(record.created, UTC)
        log_data |= {
            "time": at.isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "process": self._process,
            "pid": record.process,
            "message": record.getMessage(),
            **_request_fields(),
        }
        for field, name in (("exc_info", "exception"), ("stack_info", "stack")):
            if field in message_dict:
                log_data[name] = message_dict[field]


class TextLines(logging.Formatter):
    """Has another formatter write a record, and adds the requests to its first line."""

    def __init__(self, formatter: logging.Formatter) -> None:
        super().__init__()
        self._formatter = formatter

    def format(self, record: logging.LogRecord) -> str:
        """Returns the line, and those of a traceback below it."""
        first, *traceback = self._formatter.format(record).split("\n", 1)
        return "\n".join([first + request_ids.words(), *traceback])


def formatter(process: str, form: Format, text: logging.Formatter) -> logging.Formatter:
    """Returns what writes a process's lines; ``text`` is how they look where they are text."""
    return JsonLines(process) if form == "json" else TextLines(text)


def configuration(process: str, level: str, form: Format) -> dict[str, Any]:
    """Returns how a process logs, for ``logging.config.dictConfig``, uvicorn and gunicorn.

    All that is logged goes to the standard error output.
    """
    lines = {
        "()": formatter,
        "process": process,
        "form": form,
        "text": logging.Formatter(TEXT),
    }
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"lines": lines},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "lines"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {name: {"handlers": [], "propagate": True} for name in SERVERS},
    }


def configure(process: str, level: str, form: Format) -> None:
    """Has this process log so from now on."""
    logging.config.dictConfig(configuration(process, level, form))


def dress(logger: logging.Logger, process: str, form: Format) -> None:
    """Has the handlers that a library has given ``logger`` write lines like all others.

    Text keeps the form that the library has for it.
    """
    for handler in logger.handlers:
        text = handler.formatter or logging.Formatter()
        handler.setFormatter(formatter(process, form, text))


def _request_fields() -> dict[str, Any]:
    ids, more = request_ids.named()
    if len(ids) < 2:
        return {"request_id": ids[0]} if ids else {}
    return {"request_ids": ids, "more_request_ids": more} if more else {"request_ids": ids}
