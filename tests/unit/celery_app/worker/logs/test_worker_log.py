"""The log of a Celery worker in a separate process: as text, and as JSON."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from tests.parts import ROOT

#: A program that logs in each way in which a worker logs.
LOGS = """
import logging
import sys
import warnings
from celery import Celery
from celery.apps import worker
from celery.utils.log import get_multiprocessing_logger, get_task_logger
from celery_app.worker.logs.worker_log import set_up
from monitoring.instruments.request_ids import about

set_up(sys.argv[1])
app = Celery("byline")
app.log.setup("INFO", redirect_stdouts=True)
with about(["one", "two"]):
    logging.getLogger("tasks.batch_processor").info("ours")
    get_task_logger("somebodys").info("a task's", extra={"data": "aubergines"})
    get_multiprocessing_logger().error("a pool's")
    print("printed")
    warnings.warn("a warning")
worker.safe_say("worker: Warm shutdown (MainProcess)", sys.__stdout__)
"""
LINES = ("ours", "a task's", "a pool's", "printed", "a warning")


def logged(form: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", LOGS, form],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return (done.stdout + done.stderr).splitlines()


def test_every_line_of_a_worker_is_json_where_json_is_wanted() -> None:
    lines = [json.loads(line) for line in logged("json")]
    *named, last = lines
    assert {line["process"] for line in lines} == {"worker"}
    assert {tuple(line["request_ids"]) for line in named} == {("one", "two")}
    for words, line in zip(LINES, named, strict=True):
        assert words in line["message"]
    assert "aubergines" not in repr(lines)
    assert last["message"] == "worker: Warm shutdown (MainProcess)"


@pytest.mark.parametrize("words", LINES)
def test_a_line_of_text_looks_like_celerys_and_names_the_requests(words: str) -> None:
    [line] = [line for line in logged("text") if words in line]
    assert re.match(r"\[[\d :,-]+: [A-Z]+/MainProcess\] ", line)
    assert line.endswith(" (requests one, two)")
