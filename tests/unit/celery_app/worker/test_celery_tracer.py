"""Which tasks run through Celery's tracer, and which bypass it."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest
from celery import signals
from celery.app.trace import logger as tracer_log

from celery_app.worker import celery_tracer
from celery_app.worker.celery_tracer import is_plain, trace
from model.types import Candidate
from tasks.messages import Attribution, Failure

OUTCOMES = [
    Attribution("1" * 32, "Ada", 0.9, (Candidate("Ada", 0.9),), "v1"),
    Failure("", "invalid", "text is empty"),
]


def request(**changes: Any) -> Any:
    plain = {
        "id": "chunk",
        "request_dict": {"id": "chunk", "chord": None},
        "embed": {"callbacks": None, "errbacks": None, "chain": None, "chord": None},
        "ignore_result": True,
        "delivery_info": {"redelivered": False},
        "args": ([["a", ""]],),
        "kwargs": {},
        "hostname": "here",
        "request_ids": [],
    }
    return SimpleNamespace(**{**plain, **changes})


class Task:
    app = None

    def __init__(self, found: Any) -> None:
        self.found = found

    def take(self, id: str) -> Any:
        return self.found


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Returns the ids of the tasks that run through Celery's tracer."""
    ids: list[str] = []

    def tracer(task: Any, id: str, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        ids.append(id)
        return ("result", None, 0.0, "shown")

    monkeypatch.setattr(celery_tracer, "trace_task", tracer)
    return ids


def test_a_task_without_result_and_callbacks_bypasses_the_tracer(traced: list[str]) -> None:
    task: Any = Task(OUTCOMES)
    assert trace(task, request())[1:] == (False, "(2 messages attributed)")
    assert traced == []


@pytest.mark.parametrize(
    "changes",
    [
        {"ignore_result": False},
        {"embed": {"callbacks": [{"task": "next"}]}},
        {"embed": {"chain": [{"task": "next"}]}},
        {"embed": {"chord": {"task": "body"}}},
        {"embed": {}, "request_dict": {"id": "chunk", "callbacks": [{"task": "next"}]}},
        {"delivery_info": {"redelivered": True}},
    ],
)
def test_a_task_with_work_for_celery_runs_through_the_tracer(
    traced: list[str], changes: dict[str, Any]
) -> None:
    task: Any = Task(OUTCOMES)
    assert trace(task, request(**changes)).result == "shown"
    assert traced == ["chunk"]


def test_a_task_that_was_in_no_batch_runs_through_the_tracer(traced: list[str]) -> None:
    task: Any = Task(None)
    assert trace(task, request()).result == "shown"
    assert traced == ["chunk"]


@pytest.mark.parametrize("name", ["task_prerun", "task_success", "task_postrun"])
def test_a_task_runs_through_the_tracer_where_a_receiver_listens_to_its_signals(name: str) -> None:
    def receiver(**_: Any) -> None:
        raise AssertionError

    signal = getattr(signals, name)
    assert is_plain(request())
    signal.connect(receiver)
    try:
        assert not is_plain(request())
    finally:
        signal.disconnect(receiver)


def test_a_task_runs_through_the_tracer_where_the_tracer_logs_each_task(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO, logger=tracer_log.name):
        assert not is_plain(request())
