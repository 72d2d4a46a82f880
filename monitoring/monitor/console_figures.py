"""Figures for the console: one point of its charts at each look, kept in Redis for all to read."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from redis import Redis

from monitoring.instruments.metrics import OUTCOMES
from monitoring.monitor.discovery import Process
from monitoring.monitor.quality import Quality
from monitoring.monitor.queue import State
from monitoring.monitor.scrape import Counters, Series, scrape
from monitoring.state.pressure import Memory
from monitoring.state.timeseries import POINTS, key
from tasks.storage.wrong_type import delete_wrong_types, without_wrong_types

#: Seconds for which points are kept after the last.
KEPT_S = 3600
ROUTE = "/v1/attributions"
_FAMILIES = (
    "byline_messages",
    "byline_request_duration_seconds",
    "byline_batch_messages",
    "byline_device_memory_bytes",
    "byline_model_info",
    "process_resident_memory_bytes",
)
_encode = msgspec.json.Encoder().encode


class Queued(msgspec.Struct, frozen=True):
    """The queue; None: Redis does not say."""

    ready: int | None = None
    unacked: int | None = None
    oldest_s: float | None = None


class Point(msgspec.Struct, frozen=True):
    """What the console shows of one moment. None: nothing is known."""

    #: Unix time, in seconds.
    at: float
    messages_per_s: dict[str, float]
    p50_ms: float | None
    p95_ms: float | None
    #: Mean size of the batches.
    batch_messages: float | None
    queue: Queued
    workers: int | None
    memory: Memory | None
    quality: Quality | None


def keep(client: Redis, machine: str, point: Point) -> None:
    """Add a point. Raises ``RedisError``."""
    name = key(machine)
    with client.pipeline(transaction=False) as pipe:
        pipe.lpush(name, _encode(point))
        pipe.ltrim(name, 0, POINTS - 1)
        pipe.expire(name, KEPT_S)
        kept, *_ = without_wrong_types(pipe.execute(raise_on_error=False))
    if kept is None:
        delete_wrong_types(client, {name: "list"})


class Figures:
    """Makes points from the metrics of the processes next door."""

    def __init__(self, neighbours: Sequence[Process]) -> None:
        self._neighbours = neighbours
        self._counters = Counters()
        self._at = 0.0
        #: Bytes that accelerators hold, by their kind.
        self.devices: dict[str, int] = {}
        #: Bytes that the processes take, as they say themselves; those of macOS don't.
        self.resident = 0
        self._grown: dict[Series, float] = {}
        self._seconds = 0.0

    def look(self) -> None:
        """Read all metrics."""
        urls = {name: url for each in self._neighbours for name, url in each.urls().items()}
        looks = {name: scrape(url, _FAMILIES) for name, url in urls.items()}
        now = time.monotonic()
        self._seconds, self._at = now - self._at, now
        self._grown = self._counters.growth(looks)
        self.devices = _devices(looks)
        self.resident = sum(
            int(value)
            for look in looks.values()
            for (name, _), value in (look or {}).items()
            if name == "process_resident_memory_bytes"
        )

    def point(self, queue: State | None, memory: Memory | None, quality: Quality | None) -> Point:
        """Return the point of the last look."""
        rates = {
            name: round(self._sum("byline_messages_total", outcome=name) / self._seconds, 3)
            for name in OUTCOMES
        }
        batches = self._sum("byline_batch_messages_count")
        return Point(
            round(time.time(), 3),
            rates,
            self._quantile_ms(0.5),
            self._quantile_ms(0.95),
            round(self._sum("byline_batch_messages_sum") / batches, 1) if batches else None,
            Queued(queue.ready, queue.unacked, round(queue.oldest_s, 3)) if queue else Queued(),
            queue.workers if queue else None,
            memory,
            quality,
        )

    def _sum(self, name: str, **labels: str) -> float:
        wanted = set(labels.items())
        return sum(
            value
            for (series, own), value in self._grown.items()
            if series == name and wanted <= set(own)
        )

    def _quantile_ms(self, share: float) -> float | None:
        name = "byline_request_duration_seconds_bucket"
        buckets = sorted(
            (float(dict(own)["le"]), value)
            for (series, own), value in self._grown.items()
            if series == name and ("route", ROUTE) in own
        )
        return quantile(share, buckets)


def quantile(share: float, buckets: list[tuple[float, float]]) -> float | None:
    """Return a quantile in milliseconds, from counts up to bounds in seconds, both ascending.

    Linear within its bucket, as Prometheus' ``histogram_quantile``; None where nothing was counted.
    """
    if not buckets or not buckets[-1][1]:
        return None
    rank, low, below = share * buckets[-1][1], 0.0, 0.0
    for bound, count in buckets:
        if count >= rank:
            if bound == float("inf"):
                return round(low * 1000, 2)
            part = (rank - below) / (count - below) if count > below else 1.0
            return round((low + (bound - low) * part) * 1000, 2)
        low, below = bound, count
    return None


def _devices(looks: Mapping[str, Mapping[Series, float] | None]) -> dict[str, int]:
    """Return what accelerators hold, by kind: workers say which device they have."""
    held: Counter[str] = Counter()
    for look in looks.values():
        kind, size = "", 0.0
        for (name, labels), value in (look or {}).items():
            own: dict[str, Any] = dict(labels)
            if name == "byline_model_info":
                kind = own["device"].partition(":")[0].partition(",")[0]
            elif name == "byline_device_memory_bytes" and own["kind"] == "driver":
                size = value
        if size:
            held[kind] += int(size)
    return dict(held)
