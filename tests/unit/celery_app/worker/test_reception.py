"""Celery's consumer acknowledges a task, and wakes its loop only if the loop sleeps."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from celery_app.transport.serialization import Message
from celery_app.worker.bootsteps.reception import AcknowledgeStep


class Consumer:
    """A fake of Celery's consumer, with only what the step uses."""

    def __init__(self, turns: bool) -> None:
        self.cycle = SimpleNamespace(turns=turns)
        channel = SimpleNamespace(connection=SimpleNamespace(cycle=self.cycle))
        self.task_consumer = SimpleNamespace(channel=channel)
        self.soon: list[str] = []

    def call_soon(self, function: Any, *args: Any) -> None:
        self.soon.append(function.__name__)

    def call_soon_ack(self, function: Any, *args: Any) -> None:
        self.soon.append(function.__name__)


class FakeMessage:
    acknowledged = False
    ack_log_error = Message.ack_log_error
    reject_log_error = Message.reject_log_error

    def ack(self, multiple: bool = False) -> None:
        self.acknowledged = True


def started(turns: bool) -> Consumer:
    consumer: Any = Consumer(turns)
    AcknowledgeStep(consumer).start(consumer)
    return consumer


@pytest.mark.parametrize(("turns", "woken"), [(True, []), (False, ["_nothing"])])
def test_a_task_is_acknowledged_at_once_and_wakes_the_loop_only_where_it_sleeps(
    turns: bool, woken: list[str]
) -> None:
    consumer, message = started(turns), FakeMessage()
    consumer.call_soon_ack(message.ack_log_error, None, ())
    assert message.acknowledged
    assert consumer.soon == woken


def test_giving_a_task_back_is_left_to_the_loop() -> None:
    consumer = started(turns=True)
    consumer.call_soon_ack(FakeMessage().reject_log_error, None, ())
    assert consumer.soon == ["reject_log_error"]


def test_after_a_reconnect_tasks_are_acknowledged_in_the_same_way() -> None:
    consumer: Any = started(turns=True)
    consumer.cycle.turns = False
    AcknowledgeStep(consumer).start(consumer)
    consumer.call_soon_ack(FakeMessage().ack_log_error, None, ())
    consumer.call_soon_ack(FakeMessage().reject_log_error, None, ())
    assert consumer.soon == ["_nothing", "reject_log_error"]
