"""Copies the figures of the model's engine into the worker's metrics after each batch."""

from __future__ import annotations

from collections.abc import Callable

from model.serving.status import Status
from monitoring.instruments.metrics import WorkerMetrics
from monitoring.state.prediction_stats import PredictionStats


def engine_observer(
    metrics: WorkerMetrics, prediction_stats: PredictionStats
) -> Callable[[Status], None]:
    """Returns a function that the engine calls with its status after each batch."""
    prepare = metrics.batch_duration.labels("prepare")
    forward = metrics.batch_duration.labels("forward")
    filled = metrics.cells.labels("filled")
    padding = metrics.cells.labels("padding")

    def observe(status: Status) -> None:
        work = status.batch
        prediction_stats.add(status.best, status.confidence)
        prepare.observe(work.prepare_s)
        forward.observe(work.forward_s)
        filled.inc(work.filled)
        padding.inc(work.cells - work.filled)
        metrics.halved.inc(work.halved)
        if status.unseen:
            prediction_stats.add_unseen(status.unseen)
        if status.memory is not None:
            for kind, size in status.memory._asdict().items():
                metrics.device_memory.labels(kind).set(size)

    return observe
