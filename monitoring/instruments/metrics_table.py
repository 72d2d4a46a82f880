"""Prints all metrics as a Markdown table for the docs.

Run it as ``python -m monitoring.instruments.metrics_table``.
"""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry

from monitoring.instruments.metrics import ApiMetrics, WorkerMetrics
from monitoring.instruments.monitor_metrics import MonitorMetrics

#: The class of the metrics of each kind of process, under the name of the process in the docs.
PROCESSES: dict[str, Any] = {
    "api": ApiMetrics,
    "worker": WorkerMetrics,
    "monitor": MonitorMetrics,
}


def table() -> str:
    """Returns the Markdown table, with a row for each metric of each kind of process."""
    rows = ["| metric | labels | of | meaning |", "|---|---|---|---|"]
    for process, kind in PROCESSES.items():
        for metric in vars(kind(CollectorRegistry())).values():
            [described] = metric.describe() if hasattr(metric, "describe") else metric.collect()
            ending = "_total" if described.type == "counter" else ""
            # prometheus-client offers the names of a metric's labels in this attribute only.
            labels = ", ".join(f"`{name}`" for name in getattr(metric, "_labelnames", ()))
            name, meaning = f"`{described.name}{ending}`", described.documentation
            rows.append(f"| {name} | {labels} | {process}, {described.type} | {meaning} |")
    return "\n".join(rows)


if __name__ == "__main__":
    print(table())
