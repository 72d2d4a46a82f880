"""Tests of the number of tasks that celery-exporter remembers."""

from __future__ import annotations

from typing import Any

import pytest
from celery import Celery
from celery.app.events import Events
from celery.events.state import State

from compose.parts.exporter import bounded_state


def remembered(state: Any) -> list[str]:
    for number in range(5):
        state.event(
            {
                "type": "task-sent",
                "uuid": str(number),
                "hostname": "here",
                "timestamp": number,
                "local_received": number,
                "clock": number,
            }
        )
    return list(state.tasks)


def test_an_app_remembers_as_many_tasks_as_a_state_that_is_told_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Events, "state_cls", bounded_state(3))
    app = Celery("exporter", broker="memory://", set_as_current=False)
    assert remembered(app.events.State()) == remembered(State(max_tasks_in_memory=3))
    assert len(app.events.State().tasks) == 0
