"""Tasks of Celery clients that name no queue: the client's errors, and the monitor's warning."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator

import pytest
from celery import Celery
from celery.exceptions import NotRegistered, TimeoutError
from redis import Redis

from monitoring.monitor import misrouted
from tests.parts import Stack, wait_for

TASK = "byline.attribute"


@pytest.fixture
def app(own: Stack) -> Iterator[Celery]:
    """A Celery app with the settings that Celery comes with."""
    url = own.env["BYLINE_REDIS_URL"]
    with Celery(broker=url, backend=url, set_as_current=False) as app:
        # A result that is deleted after Redis has ended would try 20 times to unsubscribe.
        app.conf.result_backend_transport_options = {"retry_policy": {"max_retries": 1}}
        yield app
        gc.collect()  # results of tests unsubscribe as they go: Redis must still be there


def test_the_monitor_warns_of_a_task_without_a_queue(app: Celery, own: Stack) -> None:
    own.worker()
    monitor = own.monitor()
    sent = app.send_task(TASK, [["a secret text"]])
    wait_for(lambda: misrouted.LINE in monitor.output, what="the warning")
    assert "secret" not in monitor.output
    with pytest.raises(TimeoutError):
        sent.get(timeout=0.5)
    assert sent.state == "PENDING"
    assert own.redis.llen("celery") == 1


def test_a_worker_of_another_app_fails_a_task_without_a_queue(app: Celery, own: Stack) -> None:
    url = own.env["BYLINE_REDIS_URL"]
    options = ["--broker", url, "--result-backend", url, "worker", "--pool", "solo"]
    own.start([sys.executable, "-m", "celery", *options], "other")
    with pytest.raises(NotRegistered):
        app.send_task(TASK, [["aeiou"]]).get(timeout=20)


def test_a_misspelt_task_fails_at_the_worker(app: Celery, own: Stack) -> None:
    own.worker()
    with pytest.raises(NotRegistered):
        app.send_task("byline.atribute", [["aeiou"]], queue="attributions").get(timeout=20)


def test_a_route_makes_the_queue_unnecessary(app: Celery, own: Stack) -> None:
    own.worker()
    app.conf.task_routes = {TASK: {"queue": "attributions"}}
    [attribution] = app.send_task(TASK, [["aeiou"]]).get(timeout=20)
    assert attribution["author"] == "vowels"
    assert misrouted.look(own.redis) == 0


def test_tasks_of_other_names_and_in_other_queues_do_not_count(app: Celery, own: Stack) -> None:
    app.send_task("byline.attribute_all", [[TASK]])
    app.send_task("mine", [[f'"{TASK}"']])
    app.send_task(TASK, [["aeiou"]], queue="attributions")
    assert misrouted.look(own.redis) == 0
    app.send_task(TASK, [["aeiou"]], priority=7)
    app.send_task(TASK, [["aeiou"]])
    assert misrouted.look(own.redis) == 2


def test_few_of_many_and_of_large_tasks_are_looked_at(app: Celery, own: Stack) -> None:
    for _ in range(misrouted.MAX_TASKS + 5):
        app.send_task(TASK, [["aeiou"]])
    assert misrouted.look(own.redis) == misrouted.MAX_TASKS
    own.redis.delete("celery")
    for _ in range(5):
        app.send_task(TASK, [["x" * misrouted.MAX_BYTES]])
    assert misrouted.look(own.redis) == 1


def test_a_key_that_is_no_list_or_may_not_be_read_is_let_be(own: Stack) -> None:
    own.redis.set("celery", "somebody else's")
    assert misrouted.look(own.redis) == 0
    own.redis.acl_setuser(
        "byline", enabled=True, passwords=["+secret"], keys=["byline:*"], commands=["+@all"]
    )
    with Redis(port=own.redis_port, username="byline", password="secret") as client:
        assert misrouted.look(client) == 0
