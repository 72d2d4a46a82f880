"""Which tasks go past Celery's tracer, and what a task's result is."""

from __future__ import annotations

import json
import logging
from types import SimpleNamespace
from typing import Any

import pytest
from celery import signals
from celery.app.trace import logger as tracer_log
from celery.utils.saferepr import saferepr
from kombu.utils import json as kombu_json

from celery_app.worker import tracing
from celery_app.worker.tracing import is_plain, trace
from model.types import Candidate
from tasks.messages import Attribution, Failure
from tasks.results import Attributions

ANSWERS = [
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
    """Return the ids that Celery's tracer is given."""
    ids: list[str] = []

    def tracer(task: Any, id: str, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        ids.append(id)
        return ("result", None, 0.0, "shown")

    monkeypatch.setattr(tracing, "trace_task", tracer)
    return ids


def test_a_task_that_nothing_follows_on_goes_past_the_tracer(traced: list[str]) -> None:
    task: Any = Task(ANSWERS)
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
def test_whatever_celery_has_to_see_to_goes_through_it(
    traced: list[str], changes: dict[str, Any]
) -> None:
    task: Any = Task(ANSWERS)
    assert trace(task, request(**changes)).result == "shown"
    assert traced == ["chunk"]


def test_what_was_in_no_batch_goes_through_it_and_fails_there(traced: list[str]) -> None:
    task: Any = Task(None)
    assert trace(task, request()).result == "shown"
    assert traced == ["chunk"]


@pytest.mark.parametrize("name", ["task_prerun", "task_success", "task_postrun"])
def test_who_listens_to_celerys_signals_hears_them(name: str) -> None:
    def receiver(**_: Any) -> None:
        raise AssertionError

    signal = getattr(signals, name)
    assert is_plain(request())
    signal.connect(receiver)
    try:
        assert not is_plain(request())
    finally:
        signal.disconnect(receiver)


def test_whoever_logs_each_task_has_each_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger=tracer_log.name):
        assert not is_plain(request())


def test_a_result_is_json_as_a_list_and_shown_as_a_number() -> None:
    result = Attributions(ANSWERS)
    assert saferepr(result) == "(2 messages attributed)"
    plain = json.loads(kombu_json.dumps({"result": result}))["result"]
    answer = {"author": "Ada", "confidence": 0.9}
    shared = {"id": "1" * 32, **answer, "candidates": [answer], "model": "v1", "cached": False}
    assert plain[0] == shared
    assert (len(result), result[0]["author"]) == (2, "Ada")
    assert plain[1] == {"id": "", "error": {"code": "invalid", "detail": "text is empty"}}


def test_a_result_that_nobody_looks_at_is_not_made() -> None:
    result = Attributions([object()])  # type: ignore[list-item]
    assert repr(result) == "(1 message attributed)"
    with pytest.raises(TypeError):
        list(result)
