"""No signal, log level or command of Celery's makes a worker show the texts of its tasks."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import httpx
import pytest
from celery import Celery

from tests.parts import Part, Stack, wait_for

TASK = "byline.attribute"
TEXT = "aubergines"


@pytest.fixture
def worker(own: Stack) -> Part:
    """A worker that takes a second for a batch, and logs at level DEBUG."""
    own.env |= {"TEST_MODEL_SECONDS": "1", "BYLINE_LOG_LEVEL": "DEBUG", "CELERY_RDBSIG": "1"}
    return own.worker()


@pytest.fixture
def app(own: Stack, worker: Part) -> Iterator[Celery]:
    url = own.env["BYLINE_REDIS_URL"]
    app = Celery(broker=url, backend=url, set_as_current=False)
    app.conf.update(task_default_queue="attributions")
    yield app
    app.close()


def test_no_command_or_signal_shows_the_texts_of_a_worker(
    own: Stack, worker: Part, app: Celery
) -> None:
    api = own.api()
    httpx.post(f"{own.url}/v1/attributions?wait=0", json={"text": f"{TEXT} by http"}, timeout=10)
    app.send_task(TASK, [[f"{TEXT} in a task"]])
    held = app.send_task(TASK, [[f"{TEXT} held"]]).id
    app.send_task(TASK, [[f"{TEXT} some day"]], countdown=60)
    send_canvas(app)
    app.send_task("celery.accumulate", [f"{TEXT} as a result"])  # like a chord's result
    wait_for(own.calls, what="a batch")

    worker.process.send_signal(signal.SIGUSR1)
    wait_for(lambda: "most recent call first" in worker.output, what="the threads' stacks")
    inspect = app.control.inspect(timeout=10, limit=1)
    shown = [inspect.active(), inspect.reserved(), inspect.scheduled(), inspect.query_task(held)]
    shown += [inspect.active(safe=False), inspect.stats(), inspect.conf(True), inspect.report()]
    assert all(shown)
    assert TEXT not in str(shown)

    for done in ("TaskPool: Apply", "Task celery.accumulate"):
        wait_for(lambda done=done: done in worker.output, what=done)
    wait_for(lambda: len(own.calls()) >= 4, what="all that is due")
    assert TEXT not in worker.output
    assert TEXT not in api.output

    worker.process.send_signal(signal.SIGUSR2)
    wait_for(lambda: not worker.alive, what="the signal's usual effect")
    assert "Debugger" not in worker.output


def send_canvas(app: Celery) -> None:
    """Sends a task with few headers: after many headers, the debug log cuts off the body."""
    headers = {"lang": "py", "task": "celery.map", "id": "canvas"}
    body = [[{"task": TASK}, [[f"{TEXT} of a canvas"]]], {}, {}]
    with app.connection() as connection, connection.Producer(serializer="json") as producer:
        producer.publish(body, routing_key="attributions", headers=headers, correlation_id="canvas")
