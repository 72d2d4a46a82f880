"""The iterations of the worker's loop: when it settles acknowledged tasks, and adds readers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from celery_app.transport.poller import Loop, Poller


class Channel:
    """A channel that may claim tasks, or may not. It counts how often it settles tasks."""

    active_queues = active_fanout_queues = ()

    def __init__(self, awaits_tasks: bool) -> None:
        self.awaits_tasks = awaits_tasks
        self.settled = 0
        self.acknowledged: list[bool] = []
        self.qos = self

    @property
    def has_acknowledgements(self) -> bool:
        return bool(self.acknowledged and self.acknowledged.pop())

    def settle(self) -> None:
        self.settled += 1


def turned(*channels: Channel) -> Poller:
    poller: Any = Poller()
    poller._channels = set(channels)
    poller.on_poll_start()
    return poller


def test_acknowledged_tasks_that_a_claim_settles_are_not_settled_again() -> None:
    claims, idle = Channel(True), Channel(False)
    assert turned(claims, idle).turns
    assert (claims.settled, idle.settled) == (0, 1)


def test_the_loop_does_not_turn_by_itself_without_a_claim() -> None:
    assert not turned(Channel(False)).turns


def test_a_task_acknowledged_while_the_loop_looks_for_room_is_settled() -> None:
    idle = Channel(False)
    idle.acknowledged = [True]
    turned(idle)
    assert idle.settled == 2


def test_a_reader_is_added_once_and_again_where_its_callback_changes() -> None:
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
