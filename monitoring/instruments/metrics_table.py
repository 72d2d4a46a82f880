"""The metrics as a Markdown table, for the docs: ``python -m monitoring.instruments.table``."""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry

from monitoring.instruments.metrics import ApiMetrics, MonitorMetrics, WorkerMetrics

#: Who tells them, and by what the docs call it.
TOLD_BY: dict[str, Any] = {"api": ApiMetrics, "worker": WorkerMetrics, "monitor": MonitorMetrics}


def table() -> str:
    """Return a row for each metric of each process."""
    rows = ["| metric | labels | of | meaning |", "|---|---|---|---|"]
    for process, kind in TOLD_BY.items():
        for metric in vars(kind(CollectorRegistry())).values():
            [described] = metric.describe() if hasattr(metric, "describe") else metric.collect()
            ending = "_total" if described.type == "counter" else ""
            # The library shows the names of labels nowhere but here.
            labels = ", ".join(f"`{name}`" for name in getattr(metric, "_labelnames", ()))
            name, meaning = f"`{described.name}{ending}`", described.documentation
            rows.append(f"| {name} | {labels} | {process}, {described.type} | {meaning} |")
    return "\n".join(rows)


if __name__ == "__main__":
    print(table())
