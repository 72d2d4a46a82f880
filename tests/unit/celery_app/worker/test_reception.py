"""How a consumer acknowledges, and Celery's loop is turned."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from celery_app.transport.poller import Loop, Poller
from celery_app.transport.serialization import Message
from celery_app.worker.reception import AcknowledgeStep


class Consumer:
    """As much of Celery's consumer as the step touches."""

    def __init__(self, turns: bool) -> None:
        self.cycle = SimpleNamespace(turns=turns)
        channel = SimpleNamespace(connection=SimpleNamespace(cycle=self.cycle))
        self.task_consumer = SimpleNamespace(channel=channel)
        self.soon: list[str] = []

    def call_soon(self, function: Any, *args: Any) -> None:
        self.soon.append(function.__name__)

    def call_soon_ack(self, function: Any, *args: Any) -> None:
        self.soon.append(function.__name__)


class Taken:
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
    consumer, message = started(turns), Taken()
    consumer.call_soon_ack(message.ack_log_error, None, ())
    assert message.acknowledged
    assert consumer.soon == woken


def test_to_give_back_is_left_to_the_loop() -> None:
    consumer = started(turns=True)
    consumer.call_soon_ack(Taken().reject_log_error, None, ())
    assert consumer.soon == ["reject_log_error"]


def test_to_connect_again_changes_nothing_of_it() -> None:
    consumer: Any = started(turns=True)
    consumer.cycle.turns = False
    AcknowledgeStep(consumer).start(consumer)
    consumer.call_soon_ack(Taken().ack_log_error, None, ())
    consumer.call_soon_ack(Taken().reject_log_error, None, ())
    assert consumer.soon == ["_nothing", "reject_log_error"]


class Channel:
    """A channel that claims, or has no room to; notes when it settles."""

    active_queues = active_fanout_queues = ()

    def __init__(self, claims: bool) -> None:
        self.claims = claims
        self.settled = 0
        self.acknowledged: list[bool] = []
        self.qos = self

    @property
    def acknowledges(self) -> bool:
        return bool(self.acknowledged and self.acknowledged.pop())

    def settle(self) -> None:
        self.settled += 1


def turned(*channels: Channel) -> Poller:
    poller: Any = Poller()
    poller._channels = set(channels)
    poller.on_poll_start()
    return poller


def test_what_a_claim_takes_along_is_not_settled_apart() -> None:
    claims, idle = Channel(True), Channel(False)
    assert turned(claims, idle).turns
    assert (claims.settled, idle.settled) == (0, 1)


def test_without_a_claim_the_loop_has_to_be_woken() -> None:
    assert not turned(Channel(False)).turns


def test_what_is_acknowledged_while_it_looks_for_room_is_seen() -> None:
    idle = Channel(False)
    idle.acknowledged = [True]
    turned(idle)
    assert idle.settled == 2


def test_a_reader_is_added_once_and_anew_where_it_is_another() -> None:
    added: list[int] = []
    readers: dict[int, Any] = {}

    def add_reader(fd: int, callback: Any, *args: Any) -> None:
        added.append(fd)
        readers[fd] = callback, args

    loop = Loop(SimpleNamespace(readers=readers, add_reader=add_reader, on_tick="its own"))
    one, other = Channel(True), Channel(True)
    for callback in (one.settle, one.settle, other.settle):
        loop.add_reader(7, callback, 7)
    assert added == [7, 7]
    readers.clear()
    loop.add_reader(7, other.settle, 7)
    assert added == [7, 7, 7]
    assert loop.on_tick == "its own"
