"""Serves the metrics of the api to Prometheus on a separate port, summed over all api processes.

All processes listen on the port, and the kernel chooses one process for each scrape. That process
reads the metrics of all processes from prometheus-client's files.
"""

from __future__ import annotations

import os
import re
import struct
import time
from collections.abc import Iterable
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, Metric, make_wsgi_app
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from monitoring.instruments import processes
from monitoring.instruments.listener import Listener
from monitoring.instruments.multiprocess import VARIABLE

_PID = re.compile(r"_(\d+)\.db")
#: Number of attempts to read the files of metrics.
ATTEMPTS = 10
#: Seconds between two attempts.
PAUSE_S = 0.05


class FileCollector(MultiProcessCollector):
    """Reads the metrics of all api processes from their files."""

    def collect(self) -> Iterable[Metric]:
        """Returns the metrics of all processes.

        While a process starts, its file may be empty, and an empty file can't be read. In this case
        all files are read again. There are at most :data:`ATTEMPTS` attempts.
        """
        for _ in range(ATTEMPTS - 1):
            try:
                metrics: Iterable[Metric] = super().collect()
            except struct.error:
                time.sleep(PAUSE_S)  # nothing announces that the file is filled
            else:
                return metrics
        last: Iterable[Metric] = super().collect()
        return last


def serve(host: str, port: int, own: CollectorRegistry) -> None:
    """Serves the metrics over HTTP, from a thread, until the process ends.

    If the environment variable ``PROMETHEUS_MULTIPROC_DIR`` is set, the metrics are those of all
    api processes. Otherwise the metrics are ``own``: those of this process.

    Raises:
        OSError: the port can't be opened.
    """
    # ``python -m api`` sets the variable, which may be missing if gunicorn was started by hand.
    shared = VARIABLE in os.environ
    registry = CollectorRegistry() if shared else own
    if shared:
        _forget_dead()
        FileCollector(registry)
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
    """Removes ended processes from the gauges that count only running processes.

    Each process has its own files for these gauges, named ``gauge_live…``. This function deletes
    the files of ended processes. The counters of ended processes stay in the sums.
    """
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
