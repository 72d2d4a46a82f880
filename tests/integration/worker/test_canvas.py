"""Celery's canvas across Byline's worker and the queue of another app."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from celery import Celery, chain, chord, signature
from celery.exceptions import NotRegistered

from tests.parts import Stack, wait_for
from tests.tls import documented_user

TASK = "byline.attribute"
#: What the page adds to the ACL's line for chords, with the queue of the test.
MORE = ("celery-taskset-meta-*", "mine*")


@pytest.fixture
def app(own: Stack) -> Iterator[Celery]:
    url = own.env["BYLINE_REDIS_URL"]
    with Celery(broker=url, backend=url, set_as_current=False) as app:
        app.conf.task_routes = {TASK: {"queue": "attributions"}}
        yield app


def attribute(app: Celery, text: str) -> object:
    return signature(TASK, args=[[text]], app=app)


def test_a_step_without_a_queue_fails_at_bylines_worker(app: Celery, own: Stack) -> None:
    own.worker()
    steps = chain(attribute(app, "aeiou"), signature("mine.count", app=app), app=app)
    with pytest.raises(NotRegistered):
        steps.apply_async().get(timeout=20)


@pytest.mark.parametrize("allowed", [False, True])
def test_a_chord_with_the_documented_acl_needs_two_more_keys(
    app: Celery, own: Stack, allowed: bool
) -> None:
    rules = documented_user().split()
    own.redis.execute_command("ACL", "SETUSER", "byline", "on", *rules)
    if allowed:
        own.redis.execute_command("ACL", "SETUSER", "byline", *(f"~{key}" for key in MORE))
    worker = own.worker(BYLINE_REDIS_URL=f"redis://byline:password@127.0.0.1:{own.redis_port}/0")
    body = signature("mine.count", app=app).set(queue="mine")
    chord([attribute(app, "aeiou"), attribute(app, "xyz")], body, app=app).apply_async()
    if allowed:
        wait_for(lambda: own.redis.llen("mine") == 1, what="the chord's body")
    else:
        wait_for(lambda: "NoPermissionError" in worker.output, what="the refusal")
        [found] = app.send_task(TASK, [["aeiou and others"]]).get(timeout=20)
        assert found["author"] is not None
        assert own.redis.llen("mine") == 0
