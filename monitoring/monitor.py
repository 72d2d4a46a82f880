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

import msgspec
from redis import Redis, RedisError

from monitoring import figures, pressure
from monitoring.figures import Figures
from monitoring.memory import Gauge
from monitoring.metrics import LEVELS, MonitorMetrics
from monitoring.pressure import Level, Memory
from monitoring.quality import Quality, assess
from monitoring.queue import Queue, State
from monitoring.windows import Window, versions
from tasks.messages import MODEL, Announcement

logger = logging.getLogger(__name__)

#: Seconds between two looks, and between two at the quality, which takes longest.
LOOK_S, QUALITY_S = 2.0, 4.0
#: Share of the cache's memory that is left to it while memory is short.
SHRUNK = 0.5

T = TypeVar("T")

_announcement = msgspec.json.Decoder(Announcement).decode


class Monitor:
    """Looks again and again, until told to stop."""

    def __init__(
        self,
        broker: Redis,
        cache: Redis,
        metrics: MonitorMetrics,
        gauge: Gauge,
        seen: Figures,
        answers: Window,
        labels: Window,
        cache_bytes: int | None,
        machine: str,
    ) -> None:
        """``cache_bytes`` is the memory of a cache that is ours to shrink, None: it is not."""
        self._broker = broker
        self._cache = cache
        self._metrics = metrics
        self._gauge = gauge
        self._figures = seen
        self._answers = answers
        self._labels = labels
        self._cache_bytes = cache_bytes
        self._machine = machine
        self._queue = Queue(broker)
        self._quality: list[Quality] = []
        self._quality_at = -QUALITY_S
        #: What the cache's memory was set for; None: whatever an earlier monitor left.
        self._level: Level | None = None
        self._cards: dict[str, Announcement] = {}
        for level, limit in (
            ("warning", gauge.limits.warning),
            ("critical", gauge.limits.critical),
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
        self._figures.look()
        queue = self._ask("broker", self._look_at_queue)
        memory = self._ask("cache", self._look_at_memory)
        if time.monotonic() >= self._quality_at + QUALITY_S:
            self._quality_at = time.monotonic()
            self._quality = self._ask("cache", self._look_at_quality) or []
            self._show_quality()
        point = self._figures.point(queue, memory, self._quality[0] if self._quality else None)
        self._ask("cache", lambda: figures.keep(self._cache, self._machine, point))

    def _ask(self, server: str, look: Callable[[], T]) -> T | None:
        """Return what a look at one of the servers shows; None where it can't be asked."""
        try:
            seen = look()
        except RedisError as error:
            logger.warning("the %s can't be looked at: %s", server, error)
            self._metrics.up.labels(server).set(0)
            return None
        self._metrics.up.labels(server).set(1)
        return seen

    def _look_at_queue(self) -> State:
        state, metrics = self._queue.look(), self._metrics
        metrics.queue.labels("ready").set(state.ready)
        metrics.queue.labels("unacked").set(state.unacked)
        metrics.oldest.set(state.oldest_s)
        metrics.workers.set(state.workers)
        metrics.dead_letters.set(state.dead_letters)
        return state

    def _look_at_memory(self) -> Memory:
        memory, metrics = self._gauge.look(self._figures.devices), self._metrics
        for component, size in memory.components.items():
            metrics.memory.labels(component).set(size)
        metrics.memory_level.set(LEVELS.index(memory.level))
        told = pressure.encode(memory)
        # To where each process looks for the model, too.
        self._broker.set(pressure.key(self._machine), told, ex=pressure.BELIEVED_S)
        self._shrink(memory.level)
        return memory

    def _shrink(self, level: Level) -> None:
        if self._cache_bytes is None or level == self._level:
            return
        size = self._cache_bytes if level == "ok" else int(self._cache_bytes * SHRUNK)
        self._cache.config_set("maxmemory", size)
        if self._level is not None or level != "ok":
            logger.warning("memory is %s: the cache may have %d MB", level, size // 2**20)
        self._level = level

    def _look_at_quality(self) -> list[Quality]:
        raw = self._broker.get(MODEL)
        if raw is not None:
            served = _announcement(raw)
            self._cards[served.version] = served
        found = versions(self._cache, max(self._answers.seconds, self._labels.seconds))
        self._cards = {version: self._cards[version] for version in found if version in self._cards}
        return [
            assess(
                self._cards[version].card if version in self._cards else {},
                version,
                self._answers.read(self._cache, version),
                self._labels.read(self._cache, version),
            )
            for version in found
        ]

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
