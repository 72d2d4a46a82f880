"""Remote control: commands that make no sense for a worker with one model are refused."""

from __future__ import annotations

from typing import Any

import pytest
from celery.worker.control import Panel

from celery_app.worker.remote_control import REFUSED, refuse_commands

#: The arguments with which Flower and Celery send each command.
ARGUMENTS: dict[str, dict[str, Any]] = {
    "autoscale": {"min": 1, "max": 4},
    "pool_grow": {"n": 1},
    "pool_shrink": {"n": 1},
    "pool_restart": {"reload": False},
    "rate_limit": {"task_name": "byline.attribute", "rate_limit": "5/s"},
    "time_limit": {"task_name": "byline.attribute", "hard": 5.0, "soft": None},
}


@pytest.fixture(autouse=True)
def refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuses the commands; afterwards this process has Celery's again."""
    monkeypatch.setattr(Panel, "data", {**Panel.data})
    monkeypatch.setattr(Panel, "meta", {**Panel.meta})
    refuse_commands()


@pytest.mark.parametrize("command", REFUSED)
def test_command_is_refused_with_the_reason(command: str) -> None:
    state = object()  # a worker that must not be touched
    assert Panel.data[command](state, **ARGUMENTS[command]) == {"error": REFUSED[command]}


def test_other_commands_are_celerys() -> None:
    for command in ("add_consumer", "cancel_consumer", "ping", "revoke", "shutdown", "stats"):
        assert Panel.data[command].__module__ == "celery.worker.control"


def test_every_refused_command_is_one_of_celery() -> None:
    assert set(REFUSED) <= set(Panel.meta)
