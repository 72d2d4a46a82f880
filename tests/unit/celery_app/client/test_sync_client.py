"""``SyncClient``: the client for threads. Its event loop runs in a thread of its own."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from celery_app.client import Failure, SyncClient, async_client
from celery_app.client.attribution_client import AttributionClient
from tasks.errors import BrokerUnavailable, NoAnswer
from tests.parts import wait_for
from tests.unit.celery_app.client.desk import Desk

URL = "redis://127.0.0.1:1/0"


class Desks:
    """Records the desk of each client."""

    def __init__(self) -> None:
        self.made: list[Desk] = []
        self.down = False

    def make_client(self, settings: Any, metrics: Any) -> AttributionClient:
        desk = Desk()
        desk.broker.down = self.down
        self.made.append(desk)
        fakes: list[Any] = [desk.model_registry, None]
        return AttributionClient(settings, desk.dispatcher, *fakes)


@pytest.fixture
def desks(monkeypatch: pytest.MonkeyPatch) -> Desks:
    desks = Desks()
    monkeypatch.setattr(async_client, "make_client", desks.make_client)
    return desks


def loop_threads() -> int:
    return sum(thread.name == "event-loop" for thread in threading.enumerate())


def test_calls_of_a_thread_run_on_the_client_s_loop_until_it_is_closed(desks: Desks) -> None:
    desks.down = True
    before = loop_threads()
    with SyncClient(URL) as client:
        assert loop_threads() == before + 1
        [failure] = client.attribute_each(["one"])
        assert isinstance(failure, Failure)
        assert failure.code == "broker_unavailable"
        with pytest.raises(BrokerUnavailable):
            client.attribute(["one"])
    assert loop_threads() == before
    assert desks.made[0].model_registry.stopped


def test_a_call_that_waits_ends_when_another_thread_closes_the_client(desks: Desks) -> None:
    client = SyncClient(URL)
    client.open()
    raised: list[BaseException] = []

    def call() -> None:
        with pytest.raises(NoAnswer) as error:
            client.attribute(["one"])
        raised.append(error.value)

    thread = threading.Thread(target=call)
    thread.start()
    wait_for(lambda: desks.made[0].broker.chunks)
    client.close()
    thread.join(20)
    assert len(raised) == 1


def test_a_client_that_is_not_open_refuses_a_call() -> None:
    with pytest.raises(RuntimeError, match="use `with`"):
        SyncClient(URL).attribute(["one"])


def test_a_client_that_can_not_be_opened_leaves_no_thread(
    desks: Desks, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(settings: Any, metrics: Any) -> AttributionClient:
        raise OSError("broken")

    monkeypatch.setattr(async_client, "make_client", broken)
    before = loop_threads()
    with pytest.raises(OSError, match="broken"), SyncClient(URL):
        pass
    assert loop_threads() == before
