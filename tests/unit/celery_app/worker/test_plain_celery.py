"""Byline's requests, tracing and events do the same as Celery's, except that they hide texts."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery
from celery.app.trace import trace_task
from celery.worker.request import Request
from kombu import Connection, Consumer, Queue

from celery_app.worker.bootsteps.consumer_steps import MAX_BUFFERED_EVENTS, EventsStep
from celery_app.worker.celery_tracer import is_plain, trace
from tasks.attribute import AttributeTask
from tasks.chunk_request import ChunkRequest, RedactedRequest
from tasks.messages import TASK, Failure

TEXT = "a secret text"
#: Properties of a request that show its arguments.
SHOWN = {"argsrepr", "kwargsrepr"}


@pytest.fixture
def app() -> Celery:
    app = Celery("plain", broker="memory://", set_as_current=False)
    app.conf.result_backend = "cache+memory://"
    batch_processor: Any = None
    app.register_task(AttributeTask(batch_processor, 64))
    return app


def message(app: Celery, **options: Any) -> Any:
    """Returns the message of a task, as a worker receives it."""
    with Connection("memory://") as connection:
        app.send_task(TASK, args=[[TEXT]], connection=connection, queue="tests", **options)
        channel = connection.default_channel
        received = channel.basic_get("tests", no_ack=True)
    received.accept = {"application/json"}
    return received


def request(kind: type[Request], app: Celery, received: Any) -> Any:
    return kind(received, app=app, task=app.tasks[TASK], hostname="here", utc=True)


def properties(made: Any) -> dict[str, Any]:
    """Returns the public properties of a request."""
    names = (name for name, value in vars(Request).items() if isinstance(value, property))
    public = {name for name in names if not name.startswith("_")}
    return {name: getattr(made, name) for name in public - SHOWN}


OPTIONS: list[dict[str, Any]] = [
    {},
    {"countdown": 60, "expires": 120, "priority": 6, "reply_to": "byline:replies:x"},
    {"ignore_result": True, "root_id": "root", "parent_id": "parent", "shadow": "another name"},
    {"time_limit": 10, "soft_time_limit": 5, "headers": {"own": "header"}},
]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("kind", [RedactedRequest, ChunkRequest])
def test_a_request_is_as_celerys_except_that_it_shows_no_arguments(
    app: Celery, kind: type[Request], options: dict[str, Any]
) -> None:
    received = message(app, **options)
    plain, ours = request(Request, app, received), request(kind, app, received)
    shown = {"argsrepr": ours.argsrepr, "kwargsrepr": "{}"}
    expected = properties(plain)
    assert expected["request_dict"]["argsrepr"] == f"[['{TEXT}']]"
    expected["request_dict"] |= shown
    assert properties(ours) == expected
    assert ours.info() == plain.info(safe=True) | {"args": shown["argsrepr"], "kwargs": "{}"}
    assert TEXT in repr(plain.info())
    assert TEXT not in repr(ours.info()) + repr(ours)


def test_callbacks_are_found_where_celery_sends_them(app: Celery) -> None:
    received = message(app, link=app.signature("after"))
    ours = request(ChunkRequest, app, received)
    assert [callback["task"] for callback in ours.embed["callbacks"]] == ["after"]
    assert ours.embed == received.payload[2]


def test_a_task_that_bypasses_the_tracer_ends_as_in_the_tracer(
    app: Celery, caplog: pytest.LogCaptureFixture
) -> None:
    task: Any = app.tasks[TASK]
    made = request(ChunkRequest, app, message(app, ignore_result=True))
    outcomes = [Failure("", "invalid", "text is empty")]
    assert is_plain(made)
    task._outcomes = {made.id: outcomes}
    with caplog.at_level(logging.WARNING):
        bypassed = trace(task, made)
    assert task._outcomes == {}
    task._outcomes = {made.id: outcomes}
    context = made.request_dict | made.embed | {"args": made.args, "kwargs": made.kwargs}
    _, failure, _, shown = trace_task(
        task, made.id, made.args, made.kwargs, context, hostname="here", app=app
    )
    assert failure is None
    assert (bypassed.failed, bypassed.result) == (False, shown)
    assert app.backend.get(app.backend.get_key_for_task(made.id)) is None  # neither stores a result


class Timer:
    """A timer that keeps the function, so that the test can call the function itself."""

    def call_repeatedly(self, seconds: float, call: Any) -> Any:
        self.call = call
        return SimpleNamespace(cancel=lambda: None)


def received_events(app: Celery, step: bool) -> list[dict[str, Any]]:
    """Returns the events that a monitor receives from a worker's dispatcher."""
    events: list[dict[str, Any]] = []
    with Connection("memory://") as connection:
        channel = connection.channel()
        dispatcher = app.events.Dispatcher(
            connection, hostname="here", buffer_group={"task"}, channel=channel
        )
        dispatcher.on_send_buffered = flush = dispatcher.flush
        consumer: Any = SimpleNamespace(
            event_dispatcher=dispatcher, timer=Timer(), on_send_event_buffered=flush
        )
        queue = Queue("watcher", dispatcher.exchange, routing_key="#", auto_delete=True)
        with Consumer(channel, queue, accept=["json"], no_ack=True) as watcher:
            watcher.register_callback(
                lambda body, _: events.extend(body if isinstance(body, list) else [body])
            )
            ours = EventsStep(consumer)
            if step:
                ours.start(consumer)
            for number in range(3):
                dispatcher.send("task-received", uuid=str(number), number=number)
            dispatcher.send("worker-heartbeat", freq=2)
            if step:
                assert len(dispatcher._group_buffer["task"]) == 3 < MAX_BUFFERED_EVENTS
                consumer.timer.call()
                ours.stop(consumer)
            dispatcher.send("task-succeeded", uuid="last", number=3)
            while sum(event["type"].startswith("task-") for event in events) < 4:
                connection.drain_events(timeout=5)
        dispatcher.close()
    return events


def test_events_sent_by_a_timer_are_those_that_celery_sends(app: Celery) -> None:
    volatile = ("timestamp", "clock", "local_received")
    plain, ours = (
        sorted(
            (
                {name: value for name, value in event.items() if name not in volatile}
                for event in received_events(app, step)
            ),
            key=lambda event: (event["type"], str(event.get("number"))),
        )
        for step in (False, True)
    )
    assert len(plain) == 5
    assert ours == plain
