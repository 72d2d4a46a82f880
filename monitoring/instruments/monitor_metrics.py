"""Declares the monitor's metrics of the queue, of Byline's memory and of the answers' quality."""

from __future__ import annotations

import math
from typing import Any

from prometheus_client import CollectorRegistry, Gauge

#: Signals of the answers' quality. Each is a number between 0 and 1.
SIGNALS = (
    "accuracy",
    "estimated_accuracy",
    "abstention",
    "author_drift",
    "confidence_drift",
    "unseen",
)


#: Levels of memory use, in the order of their numbers in ``byline_memory_level``.
LEVELS = ("ok", "warning", "critical")


class MonitorMetrics:
    """The monitor's metrics. They describe the whole system, not single processes."""

    def __init__(self, registry: CollectorRegistry) -> None:
        own: dict[str, Any] = {"registry": registry}
        self.up = Gauge(
            "byline_server_up",
            "1 where the server, broker or cache, answers, else 0.",
            ("server",),
            **own,
        )
        self.workers = Gauge(
            "byline_workers",
            "Workers of the served model version that are alive and take tasks.",
            **own,
        )
        self.queue = Gauge(
            "byline_queue_messages",
            "Tasks, each with one text or more: ready, waiting in the queue, or unacked, held by a "
            "worker.",
            ("state",),
            **own,
        )
        self.oldest = Gauge(
            "byline_queue_oldest_seconds",
            "Age of the task that has waited longest; 0 where none waits.",
            **own,
        )
        self.queue_bytes = Gauge(
            "byline_queue_bytes",
            "Memory of the broker that tasks and promised answers take. Redis evicts neither.",
            **own,
        )
        self.queue_room = Gauge(
            "byline_queue_room_bytes",
            "Memory of the broker that tasks and promised answers may take. When it is full, new "
            "messages are refused. Infinite where the broker has no limit.",
            **own,
        )
        self.pending_results = Gauge(
            "byline_pending_results",
            "Answers that were promised with 202 and are not fetched yet.",
            **own,
        )
        self.dead_letters = Gauge("byline_dead_letters", "Messages that are dead letters.", **own)
        self.dead_letters.set(math.nan)  # unknown yet: a rise from 0 would raise an alert
        self.memory = Gauge(
            "byline_memory_bytes",
            "Memory by component: app, all processes of Byline except Redis; redis; mps, which is "
            "not counted in app; cuda, which is the GPU's own memory.",
            ("component",),
            **own,
        )
        self.memory_limit = Gauge(
            "byline_memory_limit_bytes",
            "Total memory at which a level begins.",
            ("level",),
            **own,
        )
        self.memory_level = Gauge(
            "byline_memory_level", "Memory level: 0 ok, 1 warning, 2 critical.", **own
        )
        signal: dict[str, Any] = {"labelnames": ("version", "signal"), **own}
        self.quality = Gauge(
            "byline_quality_ratio", "Quality signals of the latest answers.", **signal
        )
        self.quality_threshold = Gauge(
            "byline_quality_threshold_ratio",
            "Threshold of a quality signal, which depends on the number of messages.",
            **signal,
        )
        self.quality_past = Gauge(
            "byline_quality_past_threshold",
            "1 where a quality signal is past its threshold, else 0.",
            **signal,
        )
        bounds: dict[str, Any] = {"labelnames": ("version", "bound"), **own}
        self.accuracy = Gauge(
            "byline_accuracy_interval_ratio",
            "Wilson interval, 95 %, of the accuracy that feedback shows.",
            **bounds,
        )
        by_version: dict[str, Any] = {"labelnames": ("version",), **own}
        self.quality_messages = Gauge(
            "byline_quality_messages",
            "Messages from which the quality signals are computed.",
            **by_version,
        )
        self.labels = Gauge(
            "byline_quality_labels", "Messages whose true author was reported.", **by_version
        )
        self.coverage = Gauge(
            "byline_label_coverage_ratio",
            "Share of the computed messages whose true author was reported.",
            **by_version,
        )
