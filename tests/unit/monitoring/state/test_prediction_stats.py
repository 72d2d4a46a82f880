"""Predictions of a worker are counted for Prometheus and for the quality monitor."""

from __future__ import annotations

import numpy as np
from prometheus_client import CollectorRegistry

from monitoring.instruments.metrics import WorkerMetrics
from monitoring.state.prediction_stats import PredictionStats


def prediction_stats(registry: CollectorRegistry) -> PredictionStats:
    return PredictionStats(WorkerMetrics(registry), ("a", "b"), 0.5)


def add(prediction_stats: PredictionStats, *answers: tuple[int, float]) -> None:
    best, confidence = zip(*answers, strict=True)
    prediction_stats.add(np.array(best), np.array(confidence, np.float32))


def value(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    return registry.get_sample_value(name, labels)


def test_predictions_are_counted_for_prometheus_and_for_the_monitor() -> None:
    registry = CollectorRegistry()
    counted = prediction_stats(registry)
    add(counted, (0, 0.97), (0, 1.0))
    add(counted, (1, 0.25))
    counted.add_unseen([0.25, 0.5])
    assert counted.take() == {
        "messages": 3,
        "abstained": 1,
        "confidence": 2_220_000,
        "a:a": 2,
        "a:b": 1,
        "c:14": 2,
        "c:3": 1,
        "unseen_texts": 2,
        "unseen": 750_000,
    }
    assert value(registry, "byline_attributed_total", author="a") == 2
    assert value(registry, "byline_attributed_total", author="b") is None
    assert value(registry, "byline_abstained_total") == 1
    assert value(registry, "byline_confidence_bucket", le="0.3") == 1
    assert value(registry, "byline_confidence_bucket", le="0.99") == 2
    assert value(registry, "byline_confidence_count") == 3


def test_taken_counts_come_again_only_when_put_back() -> None:
    counted = prediction_stats(CollectorRegistry())
    add(counted, (0, 0.5))
    taken = counted.take()
    assert counted.take() == {}
    counted.put_back(taken)
    add(counted, (0, 0.5))
    assert counted.take()["messages"] == 2
