"""Settings of the system as a whole: Valkey, ports, memory limits, quality monitor, logs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from celery_app.settings.api_settings import ApiSettings
from celery_app.settings.field_types import Count, Port, Positive, WebURL, about


class SystemSettings(ApiSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The settings of the system as a whole. Inherits the settings of the api and the workers."""

    redis_port: Annotated[Port, about("Port of the embedded Valkey.")] = 6390
    redis_megabytes: Annotated[
        Count,
        about(
            "Megabytes for the data of the embedded Valkey. Queue and promised answers take half "
            "of it at most, the cache the rest. A full cache drops the entries used least recently."
        ),
    ] = 32
    flower_port: Annotated[Port, about("Port of Flower.")] = 5555
    exporter_port: Annotated[Port, about("Port of celery-exporter.")] = 9808
    metrics_port: Annotated[
        Port, about("Port of the first worker's metrics. Each further worker has the next port.")
    ] = 9809
    metrics_host: Annotated[
        str, about("Address that all metrics are served on. They name authors, but hold no texts.")
    ] = "127.0.0.1"
    api_metrics_port: Annotated[Port, about("Port of the metrics of all api processes.")] = 9806
    monitor_port: Annotated[Port, about("Port of the monitor: queue, memory, quality.")] = 9807
    prometheus_port: Annotated[
        int,
        about(
            "Port of Prometheus, which `make run` starts if it is installed; 0: never started.",
            ge=0,
            le=65535,
        ),
    ] = 9095
    alertmanager_port: Annotated[
        int,
        about(
            "Port of Alertmanager, started with Prometheus if it is installed; 0: never started.",
            ge=0,
            le=65535,
        ),
    ] = 9096
    grafana_url: Annotated[WebURL | None, about("URL of Grafana, for a link in the console.")] = (
        None
    )
    docs_url: Annotated[
        WebURL | None,
        about(
            "URL of this repository's files, for links to runbooks in the console and in alerts. "
            "The path of the runbook follows, such as `/alerting/runbooks/NoWorker.md`. Unset: the "
            "api, which serves the runbooks."
        ),
    ] = None
    redis_exporter_port: Annotated[
        Port, about("Port of the Redis exporter, started with Prometheus if it is installed.")
    ] = 9122
    memory_gb: Annotated[
        Positive | None,
        about(
            "Memory that Byline may use, in GiB (2^30 bytes). Unset: all memory of this machine or "
            "container."
        ),
    ] = None
    memory_warning: Annotated[
        float, about("Share of this memory from which caches shrink.", gt=0, le=1)
    ] = 0.7
    memory_critical: Annotated[
        float, about("Share of this memory from which new messages are refused.", gt=0, le=1)
    ] = 0.85
    worker_memory_gb: Annotated[
        Positive | None,
        about(
            "Memory in GiB beyond which a worker ends after its batch, to be restarted. Unset: no "
            "limit."
        ),
    ] = None
    quality_window_s: Annotated[
        float, about("Seconds that the quality metrics look back.", ge=10, le=86_400)
    ] = 300.0
    feedback_window_s: Annotated[
        float, about("Seconds that the accuracy by feedback looks back.", ge=10, le=2_592_000)
    ] = 86_400.0
    machine: Annotated[
        str | None,
        about(
            "Name of this machine, under which its processes share how full its memory is, and its "
            "figures. Unset: the host name, which containers do not share."
        ),
    ] = None
    state_dir: Annotated[
        Path, about("Folder of the data that outlives a restart: queue, cache, logs.")
    ] = Path(".byline")
    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR"],
        about("Lowest level of log lines that workers and api write."),
    ] = "WARNING"
    log_format: Annotated[
        Literal["text", "json"],
        about(
            "Format of the logs of workers, api and monitor: `text`, or `json`, one object a line."
        ),
    ] = "text"
    tracing: Annotated[
        Literal["on", "off"],
        about(
            "Whether api and workers export OpenTelemetry traces, as OpenTelemetry's own variables "
            "`OTEL_…` say. `on` needs the extra `otel`; see docs/how-to/traces.md."
        ),
    ] = "off"
