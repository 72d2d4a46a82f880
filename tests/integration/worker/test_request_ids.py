"""Log lines about a task have its request ids. With log format JSON, each log line is JSON."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from celery import Celery

from celery_app.app import make_celery
from celery_app.settings import Settings
from tasks.messages import REQUEST_IDS, TASK
from tests.parts import ACCELERATED, Part, Stack, wait_for

#: A text for which the model raises an error. No log may show the text.
POISON = "POISON of aubergines"
IDS = ["fine-1", "poison-2", "", "fine-4"]

#: Parts of the lines that the api and the monitor log when Redis can't be reached.
WARNINGS = {"api": "can't be", "monitor": "a command to Redis failed"}
#: The server's logger, and a part of the line that it logs for each process.
SERVER = (
    ("uvicorn.error", "Started server process")
    if ACCELERATED
    else ("gunicorn.error", "Booting worker")
)


@pytest.fixture
def app(own: Stack) -> Celery:
    return make_celery(Settings.from_environ({"BYLINE_REDIS_URL": own.env["BYLINE_REDIS_URL"]}))


def attribute(app: Celery, texts: list[Any], ids: list[str]) -> Any:
    """Sends a task with request ids, and returns the task's result."""
    task = app.send_task(TASK, [texts], headers={REQUEST_IDS: ids})
    return task.get(timeout=20, propagate=False)


def lines(part: Part) -> list[dict[str, Any]]:
    """Returns the log lines of a part, each decoded from JSON."""
    return [json.loads(line) for line in part.output.splitlines()]


def test_a_message_that_the_model_fails_on_is_logged_with_its_request(
    own: Stack, app: Celery
) -> None:
    worker = own.worker()
    fine, poisoned, *_ = attribute(app, ["aeiou", POISON, "xyz", "uoiea"], IDS)
    assert (fine["author"], poisoned["error"]["code"]) == ("vowels", "model_failed")
    words = f"the model failed on the message {poisoned['id']}: the model raised ValueError"
    [line] = [line for line in worker.output.splitlines() if words in line]
    assert line.startswith("[")
    assert line.endswith("(request poison-2)")
    wait_for(lambda: "succeeded in" in worker.output)
    for words in ("received", "succeeded in"):
        [line] = [line for line in worker.output.splitlines() if words in line]
        assert line.endswith("(requests fine-1, poison-2, fine-4)")
    assert POISON not in worker.output


def test_a_worker_with_log_format_json_logs_only_json(own: Stack, app: Celery) -> None:
    own.env |= {"BYLINE_LOG_FORMAT": "json", "BYLINE_LOG_LEVEL": "DEBUG"}
    worker = own.worker()
    attribute(app, ["aeiou", POISON, "xyz", "uoiea"], IDS)
    wait_for(lambda: "succeeded in" in worker.output)
    logged = lines(worker)
    [failed] = [line for line in logged if line["message"].startswith("the model failed on")]
    assert failed["request_id"] == "poison-2"
    assert (failed["level"], failed["logger"]) == ("WARNING", "tasks.batch_processor")
    assert (failed["process"], failed["pid"]) == ("worker", worker.process.pid)
    [done] = [line for line in logged if "succeeded in" in line["message"]]
    assert done["request_ids"] == ["fine-1", "poison-2", "fine-4"]
    own.parts[0].kill()
    wait_for(lambda: "exception" in worker.output, what="a traceback")
    # The status is 1 if Celery meets the lost broker while it stops. This test is about the log.
    assert worker.stop() in (0, 1), worker.output[-3000:]
    logged = lines(worker)
    assert any(line.get("exception", "").startswith("Traceback") for line in logged)
    assert "worker: Warm shutdown (MainProcess)" in [line["message"] for line in logged]
    assert POISON not in worker.output


def test_api_and_monitor_with_log_format_json_log_only_json(own: Stack) -> None:
    own.env |= {"BYLINE_LOG_FORMAT": "json"}
    own.worker()
    parts = {"api": own.api(BYLINE_API_PROCESSES="2"), "monitor": own.monitor()}
    own.parts[0].kill()
    for name, part in parts.items():
        warning = WARNINGS[name]
        wait_for(lambda: warning in part.output, what=f"a warning of the {name}")  # noqa: B023
        part.stop()
        logged = lines(part)
        assert {line["process"] for line in logged} == {name}
    server, words = SERVER
    started = [line for line in lines(parts["api"]) if words in line["message"]]
    assert {line["logger"] for line in started} == {server}
    assert len(started) == 2


def test_a_dead_letter_shows_its_request_id_and_keeps_it_in_a_replay(
    own: Stack, app: Celery
) -> None:
    workers: list[Part] = []
    task = app.send_task(TASK, [["aeiou", "DEADLY"]], headers={REQUEST_IDS: ["fine-1", "deadly-2"]})

    def answered() -> bool:
        if not (workers and workers[-1].alive):  # as a supervisor does
            workers.append(own.start_worker(name=str(len(workers))))
        return bool(task.ready())

    wait_for(answered, 60, "the message to become a dead letter")
    _, refused = task.get()
    words = f"workers died of the message {refused['id']}; it is a dead letter (request deadly-2)"
    assert words in workers[-1].output
    assert "request: deadly-2" in dead_letters(own, "show", refused["id"])
    dead_letters(own, "replay", refused["id"])
    wait_for(lambda: not workers[-1].alive, what="it is as deadly as it was")
    assert "received (request deadly-2)" in workers[-1].output


def dead_letters(own: Stack, *arguments: str) -> str:
    command = [sys.executable, "-m", "celery_app.dead_letters", *arguments]
    part = own.start(command, arguments[0])
    assert part.process.wait(20) == 0, part.output
    return part.output
