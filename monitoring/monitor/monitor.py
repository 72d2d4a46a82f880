"""The monitor process: watches queue, memory and quality for Prometheus, the console and the api.

Each machine has one monitor. The monitor measures even while other processes are busy or dead.
Without the monitor, Byline still attributes messages, but applies no memory limits.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from redis import Redis, RedisError

from monitoring.instruments.background import Failures
from monitoring.instruments.log_once import log_once
from monitoring.instruments.monitor_metrics import LEVELS, MonitorMetrics
from monitoring.monitor import console_figures, misrouted
from monitoring.monitor.cache_limit import CacheLimit
from monitoring.monitor.console_figures import Figures
from monitoring.monitor.memory import MemoryMeter
from monitoring.monitor.quality_signals import Quality, assess
from monitoring.monitor.queue_state import QueueObserver, QueueState
from monitoring.state import alerts, machine_memory
from monitoring.state.alerts import Alerts
from monitoring.state.machine_memory import Memory
from monitoring.state.windows import Window, versions
from tasks.messages import Announcement
from tasks.rollout import WorkerRegistry
from tasks.storage.dead_letters import DeadLetters

logger = logging.getLogger(__name__)

#: Seconds between two measurements of queue and memory.
LOOK_S = 2.0
#: Seconds between two computations of the quality signals, which take longer than all other
#: measurements, and between two searches for misrouted tasks.
QUALITY_S = 4.0

T = TypeVar("T")
_failures = Failures("a look of the monitor")


class Monitor:
    """Measures the system every :data:`LOOK_S` seconds, and publishes the figures."""

    def __init__(
        self,
        broker: Redis,
        cache: Redis,
        metrics: MonitorMetrics,
        memory_meter: MemoryMeter,
        figures: Figures,
        answers: Window,
        labels: Window,
        received_alerts: Alerts,
        cache_limit: CacheLimit | None,
        machine: str,
    ) -> None:
        """``cache_limit`` lowers the memory limit of the cache's server while memory is short.

        ``cache_limit`` is None if Byline has not started this server. The monitor then does not
        change the limit. ``answers`` and ``labels`` are the counts of predictions and of feedback.
        """
        self._broker = broker
        self._cache = cache
        self._metrics = metrics
        self._memory_meter = memory_meter
        self._figures = figures
        self._answers = answers
        self._labels = labels
        self._alerts = received_alerts
        self._cache_limit = cache_limit
        self._machine = machine
        self._dead_letters = DeadLetters(cache)
        self._queue = QueueObserver(broker)
        self._worker_registry = WorkerRegistry(broker)
        self._quality: list[Quality] = []
        self._quality_at = -QUALITY_S
        self._cards: dict[str, Announcement] = {}
        for level, limit in (
            ("warning", memory_meter.limits.warning),
            ("critical", memory_meter.limits.critical),
        ):
            metrics.memory_limit.labels(level).set(limit)

    def run(self, stop: threading.Event) -> None:
        """Calls :meth:`measure` every :data:`LOOK_S` seconds until ``stop`` is set."""
        due = time.monotonic()
        while not stop.wait(max(0.0, due - time.monotonic())):
            due = max(due + LOOK_S, time.monotonic())
            self.measure()

    def measure(self) -> None:
        """Measures everything once, and publishes the figures.

        Leaves out the figures of a measurement that fails.
        """
        for server, client in (("broker", self._broker), ("cache", self._cache)):
            self._metrics.up.labels(server).set(_try(client.ping) is not None)
        _try(self._figures.read_metrics)
        queue = _try(self._measure_queue)
        _try(self._count_dead_letters)
        memory = _try(self._measure_memory)
        if memory is not None:
            _try(lambda: self._publish_memory(memory))
            if (cache_limit := self._cache_limit) is not None:
                _try(lambda: cache_limit.adapt(memory.level))
        if time.monotonic() >= self._quality_at + QUALITY_S:
            self._quality_at = time.monotonic()
            self._quality = _try(self._measure_quality) or []
            _try(lambda: misrouted.look(self._broker))
            _try(self._show_quality)
        served = [each for each in self._quality if queue and each.version == queue.version]
        quality = next(iter([*served, *self._quality]), None)
        point = _try(lambda: self._figures.point(queue, memory, quality))
        if point is not None:
            _try(lambda: console_figures.store(self._cache, self._machine, point))
        _try(lambda: alerts.store(self._cache, self._machine, self._alerts.firing()))

    def _measure_queue(self) -> QueueState:
        state, metrics = self._queue.read(), self._metrics
        metrics.queue.labels("ready").set(state.ready)
        metrics.queue.labels("unacked").set(state.unacked)
        metrics.oldest.set(state.oldest_s)
        metrics.queue_bytes.set(state.memory.used)
        metrics.queue_room.set(state.memory.room)
        metrics.pending_results.set(state.memory.pending_results)
        metrics.workers.set(state.workers)
        return state

    def _count_dead_letters(self) -> None:
        """Counts the dead letters in the cache's Redis, and sets the metric to their number."""
        self._metrics.dead_letters.set(self._dead_letters.messages())

    def _measure_memory(self) -> Memory:
        memory = self._memory_meter.measure(self._figures.devices, self._figures.resident)
        metrics = self._metrics
        for component, size in memory.components.items():
            metrics.memory.labels(component).set(size)
        metrics.memory_level.set(LEVELS.index(memory.level))
        return memory

    def _publish_memory(self, memory: Memory) -> None:
        """Writes ``memory`` to the broker, where the machine's other processes read it."""
        raw = machine_memory.encode(memory)
        self._broker.set(machine_memory.key(self._machine), raw, ex=machine_memory.VALID_S)

    def _measure_quality(self) -> list[Quality]:
        found = versions(self._cache, max(self._answers.seconds, self._labels.seconds))
        self._cards = {
            version: card
            for version in found
            if (card := self._cards.get(version) or self._worker_registry.announcement(version))
        }
        assessed = [self._assess(version) for version in found]
        return [quality for quality in assessed if quality is not None]

    def _assess(self, version: str) -> Quality | None:
        """Returns the quality of a model version; None if its counts in Redis are damaged.

        The counts are those of the version's predictions, and of the feedback on them.
        """
        try:
            return assess(
                self._cards[version].card if version in self._cards else {},
                version,
                self._answers.read(self._cache, version),
                self._labels.read(self._cache, version),
            )
        except (ArithmeticError, ValueError) as error:
            line = "a version's quality counts are impossible: %s"
            log_once(logger, logging.WARNING, line, type(error).__name__)
            return None

    def _show_quality(self) -> None:
        metrics = self._metrics
        for metric in (
            *(metrics.quality, metrics.quality_threshold, metrics.quality_past),
            *(metrics.accuracy, metrics.quality_messages, metrics.labels, metrics.coverage),
        ):
            metric.clear()  # removes unknown values, and versions that no longer answer
        for quality in self._quality:
            version = quality.version
            metrics.quality_messages.labels(version).set(quality.messages)
            metrics.labels.labels(version).set(quality.labels)
            if quality.coverage is not None:
                metrics.coverage.labels(version).set(quality.coverage)
            for bound, share in zip(("low", "high"), quality.interval or (), strict=False):
                metrics.accuracy.labels(version, bound).set(share)
            for name, signal in quality.signals.items():
                metrics.quality.labels(version, name).set(signal.value)
                metrics.quality_past.labels(version, name).set(signal.past)
                if signal.threshold is not None:
                    metrics.quality_threshold.labels(version, name).set(signal.threshold)


def _try(step: Callable[[], T]) -> T | None:
    """Returns the result of ``step``; None if ``step`` raises an error.

    Logs the error instead of raising it, so that the monitor can do its other steps.
    """
    try:
        return step()
    except RedisError as error:
        logger.warning("a command to Redis failed: %s", error)
    except Exception as error:  # Redis may hold any value: nothing may end the monitor
        _failures.add(error)
    return None
