"""The objects that a worker's bootsteps need, such as the engine, and how a bootstep finds them.

Celery makes the bootsteps, and can't pass Byline's objects to them. So the factory sets
``app.services``. A bootstep calls :func:`services_of` with its worker or consumer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry

from celery_app.settings import Settings
from celery_app.worker.forwarder import Forwarder
from celery_app.worker.housekeeping import Housekeeping
from model.serving.engine import Engine
from monitoring.instruments.metrics import WorkerMetrics
from tasks.attribute import AttributeTask
from tasks.rollout import WorkerRegistry


@dataclass(frozen=True, slots=True)
class WorkerServices:
    """The objects that :func:`celery_app.worker.factory.build` made for the bootsteps."""

    settings: Settings
    engine: Engine
    task: AttributeTask
    metrics: WorkerMetrics
    #: The Prometheus registry that holds ``metrics``.
    metrics_registry: CollectorRegistry
    worker_registry: WorkerRegistry
    forwarder: Forwarder
    housekeeping: Housekeeping


def services_of(parent: Any) -> WorkerServices:
    """Returns the services for a bootstep; ``parent`` is Celery's worker or its consumer."""
    services: WorkerServices = parent.app.services
    return services
