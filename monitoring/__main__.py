"""Starts the monitor of this machine: ``python -m monitoring``."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading

from prometheus_client import CollectorRegistry, ProcessCollector

from celery_app.connections import connect
from celery_app.settings import GIB, Settings, SettingsError
from monitoring.instruments import logs, processes
from monitoring.instruments.monitor_metrics import MonitorMetrics
from monitoring.monitor import server
from monitoring.monitor.cache_limit import CacheLimit
from monitoring.monitor.console_figures import Figures
from monitoring.monitor.discovery import MetricsEndpoint
from monitoring.monitor.memory import Limits, MemoryMeter
from monitoring.monitor.monitor import Monitor
from monitoring.state.alerts import Alerts
from monitoring.state.windows import ANSWERS, LABELS, Window


def main(arguments: list[str]) -> int:
    """Runs the monitor until SIGTERM or SIGINT, with the settings from the environment.

    Returns the exit status: 0, or 2 if a setting or the port can't be used.
    """
    options = _options(arguments)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        settings = Settings.from_environ(os.environ)
        logs.configure("monitor", settings.log_level, settings.log_format)
        registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        alerts = Alerts()
        monitor = build(settings, registry, alerts, options)
        server.serve(settings.metrics_host, settings.monitor_port, registry, alerts)
    except SettingsError as error:
        print(f"byline monitor: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"byline monitor: BYLINE_MONITOR_PORT can't be used: {error}", file=sys.stderr)
        return 2
    monitor.run(stop)
    return 0


def build(
    settings: Settings,
    registry: CollectorRegistry,
    alerts: Alerts,
    options: argparse.Namespace,
) -> Monitor:
    """Builds the monitor from the settings and the command line's ``options``.

    ``registry`` gets the monitor's metrics. ``alerts`` are the alerts that the monitor's HTTP port
    receives.
    """
    broker, cache = connect(settings.broker), connect(settings.cache)
    total = processes.total() if settings.memory_gb is None else settings.memory_gb * GIB
    return Monitor(
        broker,
        cache,
        MonitorMetrics(registry),
        MemoryMeter(
            options.root,
            cache,
            settings.cache,
            Limits.of(total, settings.memory_warning, settings.memory_critical),
            contained=options.contained,
        ),
        Figures(
            [
                MetricsEndpoint(
                    "api", options.api or settings.metrics_host, settings.api_metrics_port
                ),
                *(
                    MetricsEndpoint("worker", options.worker or settings.metrics_host, port)
                    for port in range(
                        settings.metrics_port, settings.metrics_port + settings.workers
                    )
                ),
            ]
        ),
        Window(ANSWERS, settings.quality_window_s),
        Window(LABELS, settings.feedback_window_s),
        alerts,
        CacheLimit(cache, settings.redis_megabytes * 2**20) if options.own_cache else None,
        settings.here,
    )


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m monitoring", description=__doc__)
    parser.add_argument(
        "--root",
        type=int,
        default=os.getppid(),
        metavar="PID",
        help="id of the process whose descendants are Byline (default: this process's parent)",
    )
    parser.add_argument(
        "--own-cache",
        action="store_true",
        help="the cache is the embedded Valkey: lower its memory limit while memory is short",
    )
    for kind in ("api", "worker"):
        parser.add_argument(
            f"--{kind}",
            metavar="HOST",
            help=f"host of each {kind}'s metrics: every address of the name is asked "
            "(default: BYLINE_METRICS_HOST)",
        )
    parser.add_argument(
        "--contained",
        action="store_true",
        help="Byline's other processes, and Redis, run in other containers on this machine: they "
        "report their memory themselves",
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
