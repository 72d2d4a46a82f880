"""Timers in the worker's loop go on, and its connection stays, whatever their steps raise."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from kombu.asynchronous import Hub

from celery_app.transport.transport import Transport
from celery_app.worker import bootsteps
from celery_app.worker.bootsteps import announce_step
from tasks.messages import Announcement


class WorkerRegistry:
    """Fails as a defect would, with what kombu takes for a lost connection."""

    def __init__(self) -> None:
        self.signed = 0

    def sign(self, *_: Any, **__: Any) -> None:
        self.signed += 1
        raise KeyError("a defect")


@pytest.fixture
def hub() -> Any:
    hub = Hub()
    yield hub
    hub.close()


def test_a_worker_that_can_not_sign_goes_on(hub: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootsteps, "ANNOUNCE_S", 0.001)
    worker_registry = WorkerRegistry()
    signing: Any = worker_registry
    consumer = SimpleNamespace(timer=hub.timer, hostname="byline@one")
    step = announce_step(signing, lambda: Announcement({"version": "v1"}, "cpu"))(consumer)
    step.start(consumer)
    assert issubclass(KeyError, Transport.connection_errors)
    while worker_registry.signed < 4:
        hub.fire_timers(propagate=Transport.connection_errors)
    step.timer.cancel()
