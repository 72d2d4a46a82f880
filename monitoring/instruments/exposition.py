"""The metrics of the api's processes, added up, on a port of their own.

prometheus-client keeps them in files that all processes share. Each process listens on the one
port, and the kernel picks who answers: for all of them.
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
    """Answer scrapes, from a thread, for as long as the process lives.

    ``own`` has the metrics of this process. It answers with these alone where no folder is set in
    which processes add theirs up, as under a WSGI server that was not told of one.

    Raises:
        OSError: the port can't be had.
    """
    together = VARIABLE in os.environ
    registry = CollectorRegistry() if together else own
    if together:
        _forget_dead()
        MultiProcessCollector(registry)
    resident = Gauge(
        "process_resident_memory_bytes",
        "Resident memory of the api's processes together, in bytes.",
        registry=None if together else registry,
        multiprocess_mode="livesum",
    )
    started = Gauge(
        "process_start_time_seconds",
        "Start time of the youngest of the api's processes, in seconds since 1970.",
        registry=None if together else registry,
        multiprocess_mode="max",
    )
    started.set(time.time())

    def weigh() -> None:
        resident.set(processes.resident(os.getpid()))

    Listener(make_wsgi_app(registry), host, port, shared=True, twice_a_second=weigh)


def _forget_dead() -> None:
    """Drop what processes that are gone said of their present; what they counted stays."""
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
