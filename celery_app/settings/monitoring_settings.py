"""Settings of the parts beside api and workers: Valkey, ports, memory, quality, logs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from celery_app.settings.api_settings import ApiSettings
from celery_app.settings.field_types import Count, Port, Positive, WebURL, about


class MonitoringSettings(ApiSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where each part listens, how much memory Byline may fill, and how it logs."""

    redis_port: Annotated[Port, about("Port of the embedded Valkey.")] = 6390
    redis_megabytes: Annotated[
        Count,
        about(
            "Memory for the data of the embedded Valkey: at most half of it for queue and "
            "promises, the rest for the cache, of which what was used longest ago goes."
        ),
    ] = 32
    flower_port: Annotated[Port, about("Port of Flower.")] = 5555
    exporter_port: Annotated[Port, about("Port of celery-exporter.")] = 9808
    metrics_port: Annotated[
        Port, about("Port of the worker's own metrics; a second worker's is next.")
    ] = 9809
    metrics_host: Annotated[
        str, about("Address that everybody's metrics are served on. They name authors, no texts.")
    ] = "127.0.0.1"
    api_metrics_port: Annotated[Port, about("Port of the metrics of the api's processes.")] = 9806
    monitor_port: Annotated[Port, about("Port of the monitor: queue, memory, quality.")] = 9807
    prometheus_port: Annotated[
        int,
        about(
            "Port of Prometheus, which `make run` starts where it is installed; 0: it does not.",
            ge=0,
            le=65535,
        ),
    ] = 9095
    alertmanager_port: Annotated[
        int,
        about(
            "Port of Alertmanager, started with Prometheus where it is installed; 0: it is not.",
            ge=0,
            le=65535,
        ),
    ] = 9096
    grafana_url: Annotated[
        WebURL | None, about("Where Grafana is, for the console's link to it.")
    ] = None
    redis_exporter_port: Annotated[
        Port, about("Port of the exporter for Redis, started with Prometheus where installed.")
    ] = 9122
    memory_gb: Annotated[
        Positive | None,
        about(
            "Memory that Byline may fill, in GiB (2^30 bytes). Unset: all that this machine, or "
            "container, has."
        ),
    ] = None
    memory_warning: Annotated[float, about("Share of it from which caches shrink.", gt=0, le=1)] = (
        0.7
    )
    memory_critical: Annotated[
        float, about("Share of it from which new messages are refused.", gt=0, le=1)
    ] = 0.85
    worker_memory_gb: Annotated[
        Positive | None,
        about(
            "Memory in GiB past which a worker ends after its batch, to be replaced. Unset: none."
        ),
    ] = None
    quality_window_s: Annotated[
        float, about("Seconds that the signals of quality look back.", ge=10, le=86_400)
    ] = 300.0
    feedback_window_s: Annotated[
        float, about("The same of the accuracy that feedback shows.", ge=10, le=2_592_000)
    ] = 86_400.0
    machine: Annotated[
        str | None,
        about(
            "Name under which the processes of one machine tell each other of its memory and its "
            "figures. Unset: the host's, which containers do not share."
        ),
    ] = None
    state_dir: Annotated[Path, about("Folder for what outlives a restart: queue, cache, logs.")] = (
        Path(".byline")
    )
    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR"], about("How much worker and api log.")
    ] = "WARNING"
    log_format: Annotated[
        Literal["text", "json"],
        about("How worker, api and monitor log: `text`, or `json`, one object a line."),
    ] = "text"
