"""The declared metrics pass promtool's checks, have few series, and are listed in the docs."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from monitoring.instruments import metrics
from monitoring.instruments.metrics import (
    OUTCOMES,
    REASONS,
    STAGES,
    ApiMetrics,
    BulkHistogram,
    WorkerMetrics,
)
from monitoring.instruments.metrics_table import PROCESSES, table
from monitoring.instruments.monitor_metrics import SIGNALS, MonitorMetrics

ROOT = Path(__file__).parents[4]
#: Number of authors of a user's large model.
AUTHORS = 200
#: Maximum number of series that one process may have with so many authors: Prometheus keeps each in
#: memory.
MAX_SERIES = 600


def full(kind: type[Any]) -> CollectorRegistry:
    """Returns a registry in which every metric has every series."""
    registry = CollectorRegistry()
    made = kind(registry)
    values = {
        "route": ("/v1/attributions", "/v1/attributions/{id}", "/v1/feedback", "other"),
        "status": tuple(map(str, (200, 202, 400, 401, 404, 413, 415, 422, 429, 503, 504))),
        "outcome": OUTCOMES,
        "reason": REASONS,
        "stage": STAGES,
        "kind": ("filled", "padding", "allocated"),
        "fault": metrics.MALFORMED,
        "correct": ("true", "false"),
        "before": ("true", "false"),
        "now": ("true", "false"),
        "author": tuple(f"author {number}" for number in range(AUTHORS)),
        "version": ("one", "two"),
        "device": ("cpu",),
        "server": ("broker", "cache"),
        "state": ("ready", "unacked"),
        "component": ("app", "redis", "mps", "cuda"),
        "level": ("warning", "critical"),
        "signal": SIGNALS,
        "bound": ("low", "high"),
    }
    for metric in vars(made).values():
        names = getattr(metric, "_labelnames", ())
        for first in values[names[0]] if names else ():
            for second in values[names[1]] if len(names) > 1 else (None,):
                metric.labels(*(value for value in (first, second) if value is not None))
    return registry


@pytest.mark.parametrize("kind", [ApiMetrics, WorkerMetrics, MonitorMetrics])
def test_promtool_accepts_all_metrics(kind: type[Any]) -> None:
    promtool = shutil.which("promtool")
    if promtool is None and os.environ.get("CI") != "true":
        pytest.skip("promtool is not installed")
    assert promtool, "promtool is not installed"
    checked = subprocess.run(
        [promtool, "check", "metrics"],
        check=False,
        input=generate_latest(full(kind)),
        capture_output=True,
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


@pytest.mark.parametrize("kind", [ApiMetrics, WorkerMetrics, MonitorMetrics])
def test_number_of_series_stays_below_its_limit(kind: type[Any]) -> None:
    series = [line for line in generate_latest(full(kind)).splitlines() if line[:1] != b"#"]
    assert len(series) < MAX_SERIES


def test_docs_contain_the_table_of_all_metrics() -> None:
    assert table() in (ROOT / "docs" / "monitoring.md").read_text("utf-8")
    assert table().count("\n") > 35
    assert set(PROCESSES) == {"api", "worker", "monitor"}


def test_observe_many_counts_as_observe_does() -> None:
    registry = CollectorRegistry()
    bulk = BulkHistogram("bulk", "Many.", ("of",), buckets=(0.1, 0.5, 1.0), registry=registry)
    single = Histogram("single", "One.", ("of",), buckets=(0.1, 0.5, 1.0), registry=registry)
    values = [0.0, 0.1, 0.1001, 0.5, 0.7, 1.0, 3.0]
    bulk.labels("x").observe_many(values)
    for each in values:
        single.labels("x").observe(each)
    samples = {
        name: {
            (sample.name.removeprefix(name), tuple(sample.labels.items())): sample.value
            for family in registry.collect()
            for sample in family.samples
            if sample.name.startswith(name) and not sample.name.endswith("_created")
        }
        for name in ("bulk", "single")
    }
    assert samples["bulk"] == samples["single"]
    assert len(samples["bulk"]) == 6
