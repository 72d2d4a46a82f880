"""Celery's own commands with Byline's app: `celery worker` refuses, and Flower shows no text."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from celery import Celery

from tests.parts import Part, Stack, free_port, wait_for

TASK = "byline.attribute"
SECRET = "Xanadu"
LOGIN = ("byline", "a password")


def client(stack: Stack) -> Celery:
    """Returns a plain Celery app, which sends an event about each task that it sends."""
    url = stack.env["BYLINE_REDIS_URL"]
    app = Celery(broker=url, backend=url, set_as_current=False)
    app.conf.update(task_default_queue="attributions", task_send_sent_event=True)
    return app


def celery(stack: Stack, *arguments: str, name: str = "celery", **env: str) -> Part:
    command = [sys.executable, "-m", "celery", "-A", "celery_app", *arguments]
    return stack.start(command, name, **env)


@pytest.mark.parametrize("options", [(), ("--pool=solo",), ("--purge", "-Q", "attributions")])
def test_celery_worker_refuses_to_run_and_takes_no_task(
    own: Stack, options: tuple[str, ...]
) -> None:
    client(own).send_task(TASK, [[SECRET]])
    worker = celery(own, "worker", *options)
    assert worker.process.wait(30) == 1
    assert "run `python -m celery_app.worker`" in worker.output
    assert SECRET not in worker.output
    assert "Traceback" not in worker.output
    assert own.redis.llen("attributions") == 1
    own.worker()
    wait_for(lambda: own.calls() == [SECRET], what="it is another's to take")


def test_other_commands_work(stack: Stack) -> None:
    ping = celery(stack, "inspect", "ping", "--timeout=5", name="ping")
    assert ping.process.wait(30) == 0, ping.output
    assert "pong" in ping.output
    stats = celery(stack, "inspect", "stats", "--timeout=5", name="stats")
    assert stats.process.wait(30) == 0, stats.output
    assert "visibility_timeout" in stats.output, "it tells of the broker"
    report = celery(stack, "report", name="report")
    assert report.process.wait(30) == 0, report.output


@pytest.fixture
def flower(own: Stack) -> Iterator[str]:
    """Starts Flower. Yields Flower's address when Flower knows the worker."""
    own.worker()
    port = free_port()
    options = ("--address=127.0.0.1", f"--port={port}", "--logging=error")
    part = celery(own, "flower", *options, FLOWER_BASIC_AUTH=":".join(LOGIN))
    url = f"http://127.0.0.1:{port}"
    wait_for(lambda: "byline@one" in page(url, "/api/workers") or not part.alive, 40, "Flower")
    assert part.alive, part.output
    yield url
    assert SECRET not in part.output


def page(url: str, path: str, **query: Any) -> str:
    try:
        return httpx.get(url + path, params=query, auth=LOGIN, timeout=10).text
    except httpx.TransportError:
        return ""


def test_flower_shows_no_text_of_a_client_s_task(own: Stack, flower: str) -> None:
    app = client(own)
    sent = [
        app.send_task(TASK, [[f"{SECRET} by position"]]).id,
        app.send_task(TASK, kwargs={"messages": [f"{SECRET} by name"]}).id,
        app.send_task(TASK, [f"{SECRET} is no list"]).id,
        app.send_task("byline.atribute", [[f"{SECRET} misspelt"]]).id,
        app.send_task("attribute", [[f"{SECRET} of another name"]]).id,
        app.send_task("celery.map", [{"task": TASK}, [[f"{SECRET} of a canvas"]]]).id,
    ]

    def known() -> dict[str, Any]:
        tasks: dict[str, Any] = json.loads(page(flower, "/api/tasks") or "{}")
        return tasks if set(sent) <= tasks.keys() else {}

    tasks = wait_for(known, 20, "Flower to know the tasks")
    assert tasks[sent[0]]["args"] in ("(not shown)", "(1 message,)")
    query = {"draw": 1, "start": 0, "length": 50, "search[value]": ""} | {
        "order[0][column]": 0,
        "order[0][dir]": "asc",
        "columns[0][data]": "name",
    }
    pages = [
        *(page(flower, f"/task/{id}") for id in sent),
        *(page(flower, f"/api/task/info/{id}") for id in sent),
        page(flower, "/tasks/datatable", **query),
        page(flower, "/api/workers", refresh="true"),
        page(flower, "/worker/byline@one"),
        page(flower, "/metrics"),
        json.dumps(tasks),
    ]
    for shown in pages:
        assert len(shown) > 20
        assert SECRET not in shown
    assert json.loads(page(flower, "/api/tasks", search=SECRET)) == {}
