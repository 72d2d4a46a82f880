"""Watch over Byline on this machine: ``python -m monitoring``."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading

from prometheus_client import CollectorRegistry, ProcessCollector

from celery_app.connections import connect
from celery_app.settings import GIB, Settings, SettingsError
from monitoring import processes, server
from monitoring.alerts import Alerts
from monitoring.allowance import Allowance
from monitoring.figures import Figures
from monitoring.memory import Limits, Scales
from monitoring.metrics import MonitorMetrics
from monitoring.monitor import Monitor
from monitoring.windows import ANSWERS, LABELS, Window


def main(arguments: list[str]) -> int:
    """Watch as the environment says, until told to stop. Returns the exit status."""
    options = _options(arguments)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        settings = Settings.from_environ(os.environ)
        logging.basicConfig(level=settings.log_level, format="%(levelname)s %(name)s: %(message)s")
        registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        alerts = Alerts()
        monitor = build(settings, registry, alerts, options.root, options.own_cache)
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
    settings: Settings, registry: CollectorRegistry, alerts: Alerts, root: int, own_cache: bool
) -> Monitor:
    """Return the monitor: its composition root."""
    broker, cache = connect(settings.broker), connect(settings.cache)
    host = f"[{settings.metrics_host}]" if ":" in settings.metrics_host else settings.metrics_host
    total = processes.total() if settings.memory_gb is None else settings.memory_gb * GIB
    ports = {"api": settings.api_metrics_port} | {
        f"worker-{number}": settings.metrics_port + number for number in range(settings.workers)
    }
    return Monitor(
        broker,
        cache,
        MonitorMetrics(registry),
        Scales(
            root,
            cache,
            settings.cache,
            Limits.of(total, settings.memory_warning, settings.memory_critical),
        ),
        Figures({name: f"http://{host}:{port}/metrics" for name, port in ports.items()}),
        Window(ANSWERS, settings.quality_window_s),
        Window(LABELS, settings.feedback_window_s),
        alerts,
        Allowance(cache, settings.redis_megabytes * 2**20) if own_cache else None,
        settings.here,
    )


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m monitoring", description=__doc__)
    parser.add_argument(
        "--root",
        type=int,
        default=os.getppid(),
        metavar="PID",
        help="the process whose descendants are Byline (default: whoever started this one)",
    )
    parser.add_argument(
        "--own-cache",
        action="store_true",
        help="the cache is the embedded one: its memory may be set while the machine's is short",
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
