"""If a step's timer raises an error, the step goes on, and the worker keeps its connection."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from kombu.asynchronous import Hub
from prometheus_client import CollectorRegistry

from celery_app.transport.transport import Transport
from celery_app.worker.bootsteps import consumer_steps
from celery_app.worker.bootsteps.consumer_steps import AnnounceStep
from monitoring.instruments.metrics import WorkerMetrics


class WorkerRegistry:
    """Raises the error of a defect. kombu would take this error for a lost connection."""

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


@dataclass
class Card:
    version: str = "v1"


def test_a_worker_that_cannot_register_goes_on_and_keeps_its_connection(
    hub: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer_steps, "ANNOUNCE_S", 0.001)
    worker_registry = WorkerRegistry()
    services = SimpleNamespace(
        engine=SimpleNamespace(version="v1", card=Card()),
        metrics=WorkerMetrics(CollectorRegistry()),
        worker_registry=worker_registry,
    )
    app = SimpleNamespace(services=services)
    consumer = SimpleNamespace(app=app, timer=hub.timer, hostname="byline@one")
    step = AnnounceStep(consumer)
    step.start(consumer)
    assert issubclass(KeyError, Transport.connection_errors)
    while worker_registry.signed < 4:
        hub.fire_timers(propagate=Transport.connection_errors)
    step.timer.cancel()
