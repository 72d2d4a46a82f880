"""The monitor: looks at queue, memory and quality, and tells Prometheus, the console and the rest.

A process of its own, one for each machine, so that it sees what happens when others are busy or
gone. Nothing waits for it: without it, Byline attributes as before, and knows no memory limits.
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
from monitoring.instruments.metrics import LEVELS, MonitorMetrics
from monitoring.monitor import figures
from monitoring.monitor.cache_limit import CacheLimit
from monitoring.monitor.figures import Figures
from monitoring.monitor.memory import Scales
from monitoring.monitor.quality import Quality, assess
from monitoring.monitor.queue import Queue, State
from monitoring.state import alerts, pressure
from monitoring.state.alerts import Alerts
from monitoring.state.pressure import Memory
from monitoring.state.windows import Window, versions
from tasks.messages import Announcement
from tasks.rollout import WorkerRegistry
from tasks.storage.dead_letters import DeadLetters

logger = logging.getLogger(__name__)

#: Seconds between two looks, and between two at the quality, which takes longest.
LOOK_S, QUALITY_S = 2.0, 4.0

T = TypeVar("T")
_failures = Failures("a look")


class Monitor:
    """Looks again and again, until told to stop."""

    def __init__(
        self,
        broker: Redis,
        cache: Redis,
        metrics: MonitorMetrics,
        scales: Scales,
        seen: Figures,
        answers: Window,
        labels: Window,
        heard: Alerts,
        cache_limit: CacheLimit | None,
        machine: str,
    ) -> None:
        """``cache_limit`` is that of a cache that is ours to shrink, None: it is not."""
        self._broker = broker
        self._cache = cache
        self._metrics = metrics
        self._scales = scales
        self._figures = seen
        self._answers = answers
        self._labels = labels
        self._alerts = heard
        self._cache_limit = cache_limit
        self._machine = machine
        self._dead_letters = DeadLetters(cache)
        self._queue = Queue(broker)
        self._worker_registry = WorkerRegistry(broker)
        self._quality: list[Quality] = []
        self._quality_at = -QUALITY_S
        self._cards: dict[str, Announcement] = {}
        for level, limit in (
            ("warning", scales.limits.warning),
            ("critical", scales.limits.critical),
        ):
            metrics.memory_limit.labels(level).set(limit)

    def run(self, stop: threading.Event) -> None:
        """Look until ``stop`` is set."""
        due = time.monotonic()
        while not stop.wait(max(0.0, due - time.monotonic())):
            due = max(due + LOOK_S, time.monotonic())
            self.look()

    def look(self) -> None:
        """Look once at everything; what can't be seen is left out."""
        for server, client in (("broker", self._broker), ("cache", self._cache)):
            self._metrics.up.labels(server).set(_try(client.ping) is not None)
        _try(self._figures.look)
        queue = _try(self._look_at_queue)
        _try(self._look_at_dead_letters)
        memory = _try(self._look_at_memory)
        if memory is not None:
            _try(lambda: self._tell(memory))
            if (cache_limit := self._cache_limit) is not None:
                _try(lambda: cache_limit.adapt(memory.level))
        if time.monotonic() >= self._quality_at + QUALITY_S:
            self._quality_at = time.monotonic()
            self._quality = _try(self._look_at_quality) or []
            _try(self._show_quality)
        asked = [each for each in self._quality if queue and each.version == queue.version]
        quality = next(iter([*asked, *self._quality]), None)
        point = _try(lambda: self._figures.point(queue, memory, quality))
        if point is not None:
            _try(lambda: figures.keep(self._cache, self._machine, point))
        _try(lambda: alerts.keep(self._cache, self._machine, self._alerts.told()))

    def _look_at_queue(self) -> State:
        state, metrics = self._queue.look(), self._metrics
        metrics.queue.labels("ready").set(state.ready)
        metrics.queue.labels("unacked").set(state.unacked)
        metrics.oldest.set(state.oldest_s)
        metrics.queue_bytes.set(state.memory.used)
        metrics.queue_room.set(state.memory.room)
        metrics.pending_results.set(state.memory.pending_results)
        metrics.workers.set(state.workers)
        return state

    def _look_at_dead_letters(self) -> None:
        """They are where attributions are."""
        self._metrics.dead_letters.set(self._dead_letters.messages())

    def _look_at_memory(self) -> Memory:
        memory, metrics = (
            self._scales.weigh(self._figures.devices, self._figures.resident),
            self._metrics,
        )
        for component, size in memory.components.items():
            metrics.memory.labels(component).set(size)
        metrics.memory_level.set(LEVELS.index(memory.level))
        return memory

    def _tell(self, memory: Memory) -> None:
        """Tell the processes of this machine, where each looks for the model, too."""
        told = pressure.encode(memory)
        self._broker.set(pressure.key(self._machine), told, ex=pressure.BELIEVED_S)

    def _look_at_quality(self) -> list[Quality]:
        found = versions(self._cache, max(self._answers.seconds, self._labels.seconds))
        self._cards = {
            version: card
            for version in found
            if (card := self._cards.get(version) or self._worker_registry.announcement(version))
        }
        assessed = [self._assess(version) for version in found]
        return [quality for quality in assessed if quality is not None]

    def _assess(self, version: str) -> Quality | None:
        """Return what the counts of a version say; None: they can't have been counted."""
        try:
            return assess(
                self._cards[version].card if version in self._cards else {},
                version,
                self._answers.read(self._cache, version),
                self._labels.read(self._cache, version),
            )
        except (ArithmeticError, ValueError) as error:
            line = "the counts of a version make no sense: %s"
            log_once(logger, logging.WARNING, line, type(error).__name__)
            return None

    def _show_quality(self) -> None:
        metrics = self._metrics
        for metric in (
            *(metrics.quality, metrics.quality_threshold, metrics.quality_past),
            *(metrics.accuracy, metrics.quality_messages, metrics.labels, metrics.coverage),
        ):
            metric.clear()  # what is not known any more, and versions that are gone
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


def _try(look: Callable[[], T]) -> T | None:
    """Return what a look shows; None where it fails: the others go on."""
    try:
        return look()
    except RedisError as error:
        logger.warning("Redis can't be asked: %s", error)
    except Exception as error:  # whatever others have written there: nothing may end the monitor
        _failures.add(error)
    return None
