"""Log lines are text or JSON, name their requests, and hold no arguments of tasks."""

from __future__ import annotations

import json
import logging
import logging.config
import os
import pickle
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from monitoring.instruments import logs
from monitoring.instruments.logs import Format, JsonLines, TextLines
from monitoring.instruments.request_ids import about

TEXT = "aubergines"


def record(message: Any = "it is so", *args: Any, **attributes: Any) -> logging.LogRecord:
    return logging.makeLogRecord(
        {"name": "some.where", "levelname": "WARNING", "msg": message, "args": args} | attributes
    )


def line(given: logging.LogRecord) -> dict[str, Any]:
    """Returns the fields of the JSON line that is written for a record."""
    written = JsonLines("worker").format(given)
    assert written.isascii()
    assert written.splitlines() == [written]
    read: dict[str, Any] = json.loads(written)
    return read


def raised() -> Any:
    try:
        raise ValueError("two\nlines")
    except ValueError:
        return sys.exc_info()


def test_json_line_has_time_level_logger_process_and_message() -> None:
    at = datetime(2026, 2, 3, 4, 5, 6, 789_000, UTC)
    assert line(record("%d of %s", 3, "them", created=at.timestamp())) == {
        "time": "2026-02-03T04:05:06.789+00:00",
        "level": "WARNING",
        "logger": "some.where",
        "process": "worker",
        "pid": os.getpid(),
        "message": "3 of them",
    }


def test_json_line_contains_the_traceback() -> None:
    exception = line(record(exc_info=raised()))["exception"]
    assert exception.startswith("Traceback (most recent call last)")
    assert exception.endswith("ValueError: two\nlines")


@pytest.mark.parametrize(
    "text", ["two\nlines", "a\r\x85\u2028b", '"quotes" \\', "half \ud83d", "ä\0"]
)
def test_any_message_becomes_one_json_line(text: str) -> None:
    assert line(record("odd: %s", text))["message"] == f"odd: {text}"
    assert line(record({"text": text}))["message"] == str({"text": text})


def test_extra_fields_of_celery_are_left_out() -> None:
    given = record(data={"args": TEXT, "kwargs": TEXT}, odd=TEXT)
    assert TEXT not in JsonLines("worker").format(given)


def test_json_line_has_one_request_as_a_string_and_several_as_a_list() -> None:
    with about(["one"]):
        assert line(record())["request_id"] == "one"
    with about(["one", "two"]):
        assert line(record())["request_ids"] == ["one", "two"]
    with about([str(n) for n in range(6)]):
        read = line(record())
    assert (read["request_ids"], read["more_request_ids"]) == (["0", "1", "2", "3"], 2)


def test_text_line_ends_with_the_request_ids() -> None:
    text = TextLines(logging.Formatter("%(levelname)s %(message)s"))
    assert text.format(record()) == "WARNING it is so"
    with about(["one"]):
        assert text.format(record()) == "WARNING it is so (request one)"
        first, second, *_ = text.format(record(exc_info=raised())).splitlines()
    assert first == "WARNING it is so (request one)"
    assert second == "Traceback (most recent call last):"


@pytest.fixture
def untouched() -> Iterator[None]:
    """Restores the loggers that a test configures."""
    loggers = [logging.getLogger(name) for name in ("", *logs.SERVER_LOGGERS)]
    before = [(each, each.handlers[:], each.level, each.propagate) for each in loggers]
    yield
    for each, handlers, level, propagate in before:
        each.handlers[:] = handlers
        each.setLevel(level)
        each.propagate = propagate


@pytest.mark.parametrize(
    ("form", "read"),
    [
        ("text", lambda line: line.removeprefix("INFO gunicorn.error: ")),
        ("json", lambda line: json.loads(line)["message"]),
    ],
)
def test_lines_of_gunicorn_look_like_all_others(
    untouched: None, capsys: pytest.CaptureFixture[str], form: Format, read: Callable[[str], str]
) -> None:
    server = logging.getLogger("gunicorn.error")
    server.addHandler(logging.StreamHandler())
    server.propagate = False
    configuration = logs.configuration("api", "INFO", form)
    # uvicorn pickles the configuration for the processes that it starts.
    logging.config.dictConfig(pickle.loads(pickle.dumps(configuration)))
    server.info("ready")
    server.debug("not shown")
    assert [read(line) for line in capsys.readouterr().err.splitlines()] == ["ready"]


def test_library_keeps_its_own_text_format() -> None:
    logger = logging.Logger("celery")
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("[%(name)s] %(message)s"))
    logger.addHandler(handler)
    logger.addHandler(logging.StreamHandler())
    logs.set_formatters(logger, "worker", "text")
    with about(["one"]):
        written = [each.format(record()) for each in logger.handlers]
    assert written == ["[some.where] it is so (request one)", "it is so (request one)"]
    logs.set_formatters(logger, "worker", "json")
    assert json.loads(handler.format(record()))["message"] == "it is so"
