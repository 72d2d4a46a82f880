"""Byline's workers behave as Celery clients and Celery monitors expect."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest
from celery import Celery, chain, chord, signature
from celery.exceptions import TaskRevokedError
from redis import Redis

from tests.parts import Stack, wait_for

TASK = "byline.attribute"


def client(stack: Stack) -> Celery:
    """Returns a plain Celery app. It knows only the names of Byline's task and queue."""
    url = stack.env["BYLINE_REDIS_URL"]
    app = Celery(broker=url, backend=url, set_as_current=False)
    app.conf.task_default_queue = "attributions"
    return app


@pytest.fixture(scope="module")
def app(stack: Stack) -> Iterator[Celery]:
    app = client(stack)
    yield app
    app.close()


@pytest.fixture
def slow(own: Stack) -> Stack:
    """A stack whose forward passes take a second."""
    own.env["TEST_MODEL_SECONDS"] = "1"
    own.worker()
    return own


def test_any_client_gets_attributions_in_order(app: Celery) -> None:
    result = app.send_task(TASK, [["aeiou", "xyz", "aeiou"]]).get(timeout=10)
    assert [item["author"] for item in result] == ["vowels", "consonants", "vowels"]


def test_keyword_arguments_are_accepted(app: Celery) -> None:
    [item] = app.send_task(TASK, kwargs={"messages": ["why"], "explain": True}).get(timeout=10)
    assert item["evidence"] is None


def test_a_bad_message_fails_alone(app: Celery) -> None:
    result = app.send_task(TASK, [["fine", "", 7, "POISON", "fine too"]]).get(timeout=10)
    assert [item.get("error", {}).get("code") for item in result] == [
        None,
        "invalid",
        "invalid",
        "model_failed",
        None,
    ]


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ([], {}),
        (["no list"], {}),
        ([5], {}),
        ([["a"], [1, 2]], {}),
        ([["a"]], {"explain": "maybe"}),
        ([["a"]], {"unknown": 1}),
    ],
)
def test_wrong_arguments_fail_the_task_with_the_reason(
    app: Celery, args: list[object], kwargs: dict[str, object]
) -> None:
    result = app.send_task(TASK, args, kwargs)
    with pytest.raises(Exception, match=TASK):
        result.get(timeout=10)
    assert result.state == "FAILURE"


def test_the_state_and_the_cache_are_in_redis_with_a_time_to_live(
    app: Celery, stack: Stack
) -> None:
    result = app.send_task(TASK, [["kept for a while"]])
    [item] = result.get(timeout=10)
    for key in (f"celery-task-meta-{result.id}", f"byline:result:{item['id']}"):
        assert 0 < stack.redis.ttl(key) <= 86_400


def test_ignored_results_are_not_stored(app: Celery, stack: Stack) -> None:
    result = app.send_task(TASK, [["nobody asks"]], ignore_result=True)
    wait_for(lambda: "nobody asks" in stack.calls())
    wait_for(lambda: stack.held() == 0)
    assert not stack.redis.exists(f"celery-task-meta-{result.id}")


def test_callbacks_chains_and_chords_are_called(app: Celery) -> None:
    step = signature(TASK, args=[["linked"]], app=app)
    after = signature(TASK, args=[["after"]], immutable=True, app=app)
    assert chain(step, after, app=app).apply_async().get(timeout=10)[0]["author"] is not None
    header = [signature(TASK, args=[[f"part {n}"]], app=app) for n in range(3)]
    body = signature(TASK, args=[["body"]], immutable=True, app=app)
    assert len(chord(header, body, app=app).apply_async().get(timeout=10)) == 1


def test_an_expired_task_is_revoked_not_computed(slow: Stack) -> None:
    app = client(slow)
    app.send_task(TASK, [["keeps the model busy"]])
    wait_for(lambda: slow.calls() == ["keeps the model busy"])
    result = app.send_task(TASK, [["too late"]], expires=0.2)
    with pytest.raises(TaskRevokedError):
        result.get(timeout=10)
    assert "too late" not in slow.calls()


def test_a_revoked_task_is_not_computed(slow: Stack) -> None:
    app = client(slow)
    app.send_task(TASK, [["keeps the model busy"]])
    wait_for(lambda: slow.calls() == ["keeps the model busy"])
    result = app.send_task(TASK, [["called off"]])
    app.control.revoke(result.id)
    with pytest.raises(TaskRevokedError):
        result.get(timeout=10)
    assert "called off" not in slow.calls()


def test_a_task_with_a_countdown_waits(app: Celery) -> None:
    began = time.monotonic()
    result = app.send_task(TASK, [["in a while"]], countdown=1)
    assert len(result.get(timeout=10)) == 1
    assert time.monotonic() - began >= 1


def test_tasks_that_arrive_during_a_batch_are_one_batch(slow: Stack) -> None:
    app = client(slow)
    app.send_task(TASK, [["first"]])
    wait_for(lambda: slow.calls() == ["first"])
    began = time.monotonic()
    results = [app.send_task(TASK, [[f"gathered {n}"]]) for n in range(16)]
    for result in results:
        result.get(timeout=20)
    # One by one, the 16 tasks would take 16 s. Two batches take 2 s.
    assert time.monotonic() - began < 8


def test_monitors_see_the_tasks_but_no_text(stack: Stack, app: Celery) -> None:
    secret = "Xanadu"
    events: list[dict[str, object]] = []
    with Redis(port=stack.redis_port) as redis, redis.pubsub() as heard:
        heard.psubscribe("/0.celeryev/*")
        heard.get_message(timeout=5)
        stack.attribute({"text": f"{secret} by http"}, explain="true")
        stack.attribute({"messages": [{"text": f"POISON {secret}"}, {"text": f"{secret} 2"}]})
        ids = {
            app.send_task(TASK, [[f"{secret} by celery"]]).id,
            app.send_task(TASK, [[f"POISON {secret}"]]).id,
            app.send_task(TASK, [[f"{secret} wrong"], [1, 2, 3]]).id,
            app.send_task(TASK, [f"{secret} no list"]).id,
        }
        wanted = {"task-received", "task-started", "task-succeeded", "task-failed"}

        def all_heard() -> bool:
            message = heard.get_message(timeout=0.1)
            if message and message["type"] == "pmessage":
                body = json.loads(message["data"])
                events.extend(_decoded(body))
            kinds = {event["type"] for event in events}
            ended = {e["uuid"] for e in events if e["type"] in ("task-succeeded", "task-failed")}
            return wanted <= kinds and ids <= ended

        wait_for(all_heard, what="the events")
    received = next(e for e in events if e["type"] == "task-received" and e["uuid"] in ids)
    assert received["args"] == "(1 message,)"
    assert secret not in json.dumps(events)
    _send_what_makes_no_sense(app, secret)
    wait_for(lambda: "what the message holds is not shown" in stack.parts[1].output)
    wait_for(lambda: "can't be read become dead letters: wrong header" in stack.parts[1].output)
    wait_for(lambda: stack.held() == 0)
    for part in stack.parts:
        assert secret not in part.output
    runtimes = [e["runtime"] for e in events if e["type"] == "task-succeeded"]
    assert all(0 < float(str(runtime)) < 60 for runtime in runtimes)


def _send_what_makes_no_sense(app: Celery, secret: str) -> None:
    app.send_task("byline.atribute", [[f"{secret} misspelt"]])
    app.send_task(TASK, [[f"{secret} some day"]], headers={"eta": "some day"})


def test_inspection_shows_no_text(slow: Stack) -> None:
    app = client(slow)
    app.send_task(TASK, [["keeps the model busy"]])
    wait_for(lambda: slow.calls() == ["keeps the model busy"])
    app.send_task(TASK, [["aubergines"]])

    def reserved() -> list[dict[str, object]]:
        replies = app.control.inspect(timeout=1).reserved() or {}
        return [request for requests in replies.values() for request in requests]

    [shown] = wait_for(reserved, what="the request to be reserved")
    assert "aubergines" not in str(shown)
    assert shown["args"] == "(1 message,)"


def _decoded(message: dict[str, object]) -> list[dict[str, object]]:
    """Returns the events of a kombu message: JSON in base64, one event or a list of events."""
    from base64 import b64decode

    body = json.loads(b64decode(str(message["body"])))
    return body if isinstance(body, list) else [body]
