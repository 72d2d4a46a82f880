"""Computes the points of the console's charts and keeps them in Redis."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from redis import Redis

from monitoring.instruments.metrics import OUTCOMES
from monitoring.monitor.discovery import MetricsEndpoint
from monitoring.monitor.quality_signals import Quality
from monitoring.monitor.queue_state import QueueState
from monitoring.monitor.scrape import CounterGrowth, Series, scrape
from monitoring.state.machine_memory import Memory
from monitoring.state.timeseries import POINTS, key
from tasks.storage.wrong_type import delete_wrong_types, without_wrong_types

#: Seconds for which Redis keeps the points after the last point was added.
KEPT_S = 3600
#: The route whose latency is shown.
ROUTE = "/v1/attributions"
#: Prefixes of the names of the metrics that are read.
_FAMILIES = (
    "byline_messages",
    "byline_request_duration_seconds",
    "byline_batch_messages",
    "byline_device_memory_bytes",
    "byline_model_info",
    "process_resident_memory_bytes",
)
_encode = msgspec.json.Encoder().encode


class QueuePoint(msgspec.Struct, frozen=True):
    """The queue's figures at one moment. A field is None if Redis did not answer."""

    ready: int | None = None
    unacked: int | None = None
    oldest_s: float | None = None


class Point(msgspec.Struct, frozen=True):
    """The figures of the console's charts at one moment. A field is None if it is unknown."""

    #: Unix time, in seconds.
    at: float
    #: Messages per second, by outcome.
    messages_per_s: dict[str, float]
    p50_ms: float | None
    p95_ms: float | None
    #: Mean size of the batches.
    batch_messages: float | None
    queue: QueuePoint
    workers: int | None
    memory: Memory | None
    quality: Quality | None


def store(client: Redis, machine: str, point: Point) -> None:
    """Adds a point to the machine's chart points in Redis. Raises ``RedisError``."""
    name = key(machine)
    with client.pipeline(transaction=False) as pipe:
        pipe.lpush(name, _encode(point))
        pipe.ltrim(name, 0, POINTS - 1)
        pipe.expire(name, KEPT_S)
        pushed, *_ = without_wrong_types(pipe.execute(raise_on_error=False))
    if pushed is None:
        delete_wrong_types(client, {name: "list"})


class Figures:
    """Computes the points of the console's charts from the metrics of Byline's other processes."""

    def __init__(self, endpoints: Sequence[MetricsEndpoint]) -> None:
        self._endpoints = endpoints
        self._counters = CounterGrowth()
        self._at = 0.0
        #: Bytes of accelerators' memory that workers hold, by kind of accelerator.
        self.devices: dict[str, int] = {}
        #: Bytes of resident memory that the processes report. Processes on macOS report none.
        self.resident = 0
        #: Growth of every counter between the last two scrapes, and the seconds between them.
        self._grown: dict[Series, float] = {}
        self._seconds = 0.0

    def read_metrics(self) -> None:
        """Reads the metrics of all api and worker processes, and keeps them for :meth:`point`."""
        urls = {name: url for each in self._endpoints for name, url in each.urls().items()}
        pages = {name: scrape(url, _FAMILIES) for name, url in urls.items()}
        now = time.monotonic()
        self._seconds, self._at = now - self._at, now
        self._grown = self._counters.growth(pages)
        self.devices = _devices(pages)
        self.resident = sum(
            int(value)
            for page in pages.values()
            for (name, _), value in (page or {}).items()
            if name == "process_resident_memory_bytes"
        )

    def point(
        self, queue: QueueState | None, memory: Memory | None, quality: Quality | None
    ) -> Point:
        """Returns a point for the console's charts.

        The point has the figures that :meth:`read_metrics` read last, and the values of ``queue``,
        ``memory`` and ``quality``. These three are the monitor's own measurements. Each of them is
        None if the measurement failed.
        """
        rates = {
            name: round(self._sum("byline_messages_total", outcome=name) / self._seconds, 3)
            for name in OUTCOMES
        }
        batches = self._sum("byline_batch_messages_count")
        oldest_s = round(queue.oldest_s, 3) if queue else None
        return Point(
            round(time.time(), 3),
            rates,
            self._quantile_ms(0.5),
            self._quantile_ms(0.95),
            round(self._sum("byline_batch_messages_sum") / batches, 1) if batches else None,
            QueuePoint(queue.ready, queue.unacked, oldest_s) if queue else QueuePoint(),
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
    """Returns a quantile of a histogram in milliseconds; None if nothing was counted.

    ``share`` is 0.95 for P95. ``buckets`` are pairs of an upper bound, in seconds, and a cumulative
    count; the lowest bound comes first. Interpolates linearly, as Prometheus's
    ``histogram_quantile`` does.
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


def _devices(pages: Mapping[str, Mapping[Series, float] | None]) -> dict[str, int]:
    """Returns how many bytes of accelerators' memory the workers hold, by kind of accelerator.

    ``pages`` has the metrics of each process, or None for a process that did not answer.
    """
    held: Counter[str] = Counter()
    for page in pages.values():
        kind, size = "", 0.0
        for (name, labels), value in (page or {}).items():
            own: dict[str, Any] = dict(labels)
            if name == "byline_model_info":
                kind = own["device"].partition(":")[0].partition(",")[0]
            elif name == "byline_device_memory_bytes" and own["kind"] == "driver":
                size = value
        if size:
            held[kind] += int(size)
    return dict(held)
