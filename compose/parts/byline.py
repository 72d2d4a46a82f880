"""The parts of ``make run`` that need the broker: Byline's processes, Flower, celery-exporter."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from redis import Redis

from celery_app.settings import Settings
from compose.parts import health
from compose.parts.part import LOOPBACK, Part, url_host

#: Tasks that Flower remembers. Flower's default of 100,000 takes hundreds of megabytes.
FLOWER_TASKS = 1000
#: Ended tasks that celery-exporter remembers. Celery's default of 10,000 takes 50 MB.
ENDED_TASKS = 1000


def services(
    settings: Settings, exporter: Path, client: Redis, login: str, own_cache: bool
) -> list[Part]:
    """Returns parts of ``make run``: workers, the api, Flower, celery-exporter and the monitor.

    ``exporter`` is the path of celery-exporter's Python. ``client`` is a client of the broker.
    ``login`` is Flower's ``user:password``. ``own_cache`` is true if the cache is the embedded
    Valkey.
    """
    api = api_url(settings)
    flower = f"http://{LOOPBACK}:{settings.flower_port}"
    metrics = f"http://{LOOPBACK}:{settings.exporter_port}/metrics"
    # All parts start together. Each part waits by itself for the parts that it needs.
    return [
        *(_worker(settings, number, client) for number in range(settings.workers)),
        Part("api", API, api, health.api(api, client), rank=3, stop_s=3),
        Part(
            "flower",
            _flower(settings),
            flower,
            health.page(f"{flower}/workers?json=1", holding="hostname", login=login),
            rank=3,
            stop_s=3,
            vital=False,
        ),
        Part(
            "exporter",
            _exporter(settings, exporter),
            metrics,
            # The exporter counts events of tasks only after it has seen a first event of a worker.
            health.page(metrics, holding="celery_worker_up{"),
            rank=3,
            stop_s=3,
            vital=False,
        ),
        _monitor(settings, own_cache),
    ]


def api_url(settings: Settings) -> str:
    """Returns the URL at which a client on this machine reaches the api."""
    return f"http://{url_host(settings.api_host)}:{settings.api_port}"


#: The prefix of the workers' names.
WORKER = "worker"
#: The command that starts the api. When the api stops, requests under way have two more seconds.
API = (
    *(sys.executable, "-m", "api"),
    *("--graceful-timeout", "2"),
)


def _worker(settings: Settings, number: int, client: Redis) -> Part:
    """Returns a worker as a part of ``make run``. The first worker has the ``number`` 0.

    A single worker is named ``worker``; several workers are named ``worker-1`` and so on.
    """
    suffix = f"-{number + 1}" if settings.workers > 1 else ""
    command = (
        *(
            "env",
            f"BYLINE_WORKER_NUMBER={number}",
            f"BYLINE_WORKER_NAME={settings.worker_name}{suffix}",
        ),
        *(sys.executable, "-m", "celery_app.worker"),
    )
    healthy = health.workers(client, settings.workers)
    return Part(f"{WORKER}{suffix}", command, "", healthy, rank=2, stop_s=3)


def _monitor(settings: Settings, own_cache: bool) -> Part:
    metrics = f"http://{url_host(settings.metrics_host)}:{settings.monitor_port}/metrics"
    command = (
        *(sys.executable, "-m", "monitoring", "--root", str(os.getpid())),
        *(("--own-cache",) if own_cache else ()),
    )
    # The monitor's page has this metric once the monitor has read the queue for the first time.
    healthy = health.page(metrics, holding="byline_queue_messages{")
    return Part("monitor", command, metrics, healthy, rank=3, stop_s=3, vital=False)


def _flower(settings: Settings) -> Sequence[str]:
    return (
        *(sys.executable, "-m", "celery", "-A", "celery_app", "flower"),
        *(f"--address={LOOPBACK}", f"--port={settings.flower_port}"),
        *(f"--max-tasks={FLOWER_TASKS}", "--logging=error"),
    )


def _exporter(settings: Settings, python: Path) -> Sequence[str | Path]:
    # The broker's URL, which may hold a password, is in the exporter's environment. Only the first
    # event of a task has the task's name, so the exporter must remember all tasks that workers have
    # taken.
    taken = settings.workers * settings.prefetch
    return (
        *(python, "-I", "-u", Path(__file__).parent / "exporter.py", str(ENDED_TASKS + taken)),
        *(f"--host={LOOPBACK}", f"--port={settings.exporter_port}", "--log-level=WARNING"),
    )
