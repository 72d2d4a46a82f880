"""Formats the log lines of all Byline processes as text or as JSON, and adds request ids."""

from __future__ import annotations

import logging
import logging.config
from datetime import UTC, datetime
from typing import Any, Literal

from pythonjsonlogger.json import JsonFormatter

from monitoring.instruments import request_ids

Format = Literal["text", "json"]

#: Format of a text line, unless a library has given its logger another format.
TEXT_FORMAT = "%(levelname)s %(name)s: %(message)s"
#: Loggers for which a server sets handlers of its own. Byline removes these handlers, so that the
#: servers' lines have the same format as all other lines.
SERVER_LOGGERS = ("gunicorn.access", "gunicorn.error")


class JsonLines(JsonFormatter):
    """Writes a log record as a JSON object on one line.

    The object leaves out the fields that were logged as ``extra``: Celery puts the arguments of
    tasks there, and these arguments hold message texts.
    """

    def __init__(self, process: str) -> None:
        """``process`` is the kind of process that logs: ``api``, ``worker`` or ``monitor``."""
        super().__init__()
        self._process = process

    def add_fields(
        self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]
    ) -> None:
        """Fills ``log_data`` with the fields of the JSON object for ``record``."""
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
    """Formats a log record with another formatter, and adds request ids to the first line."""

    def __init__(self, formatter: logging.Formatter) -> None:
        super().__init__()
        self._formatter = formatter

    def format(self, record: logging.LogRecord) -> str:
        """Returns the line for ``record``, and the lines of the traceback if there is one."""
        first, *traceback = self._formatter.format(record).split("\n", 1)
        return "\n".join([first + request_ids.words(), *traceback])


def formatter(process: str, form: Format, text: logging.Formatter) -> logging.Formatter:
    """Returns the log formatter of a process.

    If ``form`` is "json", the formatter makes JSON objects, and ``text`` is not used. Otherwise the
    formatter adds request ids to the lines that the formatter ``text`` makes.
    """
    return JsonLines(process) if form == "json" else TextLines(text)


def configuration(process: str, level: str, form: Format) -> dict[str, Any]:
    """Returns a logging configuration, for ``logging.config.dictConfig``, uvicorn and gunicorn.

    Every line goes to the standard error output.
    """
    lines = {
        "()": formatter,
        "process": process,
        "form": form,
        "text": logging.Formatter(TEXT_FORMAT),
    }
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"lines": lines},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "lines"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {name: {"handlers": [], "propagate": True} for name in SERVER_LOGGERS},
    }


def configure(process: str, level: str, form: Format) -> None:
    """Configures the logging of this process."""
    logging.config.dictConfig(configuration(process, level, form))


def set_formatters(logger: logging.Logger, process: str, form: Format) -> None:
    """Sets Byline's log formatter on the handlers that a library has added to ``logger``.

    If ``form`` is "json", the handlers write JSON lines. If ``form`` is "text", they keep the
    library's own format, and Byline's formatter only adds request ids.
    """
    for handler in logger.handlers:
        text = handler.formatter or logging.Formatter()
        handler.setFormatter(formatter(process, form, text))


def _request_fields() -> dict[str, Any]:
    ids, more = request_ids.shown()
    if len(ids) < 2:
        return {"request_id": ids[0]} if ids else {}
    return {"request_ids": ids, "more_request_ids": more} if more else {"request_ids": ids}
