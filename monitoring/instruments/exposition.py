"""Serves the metrics of all api processes, added up, on a port of their own for Prometheus.

prometheus-client keeps the metrics in files that all processes share. Every process listens on the
same port, and the kernel chooses the process that answers a scrape: it answers for all of them.
"""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, make_wsgi_app
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from monitoring.instruments import processes
from monitoring.instruments.listener import Listener
from monitoring.instruments.multiprocess import VARIABLE

_PID = re.compile(r"_(\d+)\.db")


def serve(host: str, port: int, own: CollectorRegistry) -> None:
    """Answers scrapes from a thread until the process ends.

    ``own`` has the metrics of this process. A scrape gets these alone where no shared folder is
    set, as under a WSGI server that sets no ``PROMETHEUS_MULTIPROC_DIR``.

    Raises:
        OSError: the port can't be opened.
    """
    shared = VARIABLE in os.environ
    registry = CollectorRegistry() if shared else own
    if shared:
        _forget_dead()
        MultiProcessCollector(registry)
    resident = Gauge(
        "process_resident_memory_bytes",
        "Resident memory of the api's processes together, in bytes.",
        registry=None if shared else registry,
        multiprocess_mode="livesum",
    )
    started = Gauge(
        "process_start_time_seconds",
        "Start time of the youngest of the api's processes, in seconds since 1970.",
        registry=None if shared else registry,
        multiprocess_mode="max",
    )
    started.set(time.time())

    def measure() -> None:
        resident.set(processes.resident(os.getpid()))

    Listener(make_wsgi_app(registry), host, port, shared=True, twice_a_second=measure)


def _forget_dead() -> None:
    """Removes the live gauges of processes that have ended; their counters stay."""
    for file in Path(os.environ[VARIABLE]).glob("gauge_live*.db"):
        found = _PID.search(file.name)
        if found and not _alive(int(found[1])):
            mark_process_dead(int(found[1]))


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
