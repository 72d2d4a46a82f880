"""Assembles all parts of a run and their environment variables from the settings."""

from __future__ import annotations

import os
from collections.abc import Container
from pathlib import Path
from typing import NamedTuple

import msgspec
from redis import Redis

from celery_app.settings import Settings
from compose.parts import alertmanager, byline, health, prometheus, valkey
from compose.parts.logins import VARIABLE, flower_login, monitoring_login
from compose.parts.part import Part


class Assembly(NamedTuple):
    """The parts of a run, and the values that the start of these parts needs."""

    parts: list[Part]
    environ: dict[str, str]
    #: A client of the broker.
    client: Redis
    #: The api's URL.
    api: str
    #: Lines about logins and alerts, to print on the terminal.
    words: str


def assemble(settings: Settings, exporter: Path, folder: Path) -> Assembly:
    """Returns the parts of ``make run``, and writes their files into the state folder ``folder``.

    ``exporter`` is the path of Python in celery-exporter's own virtual environment.
    """
    parts = [] if settings.redis_url else [valkey.part(settings, folder)]
    own_cache = bool(parts) and settings.cache_url is None
    broker = settings.redis_url or valkey.url(settings)
    settings = msgspec.structs.replace(settings, redis_url=broker)
    client = Redis.from_url(broker, socket_timeout=health.ANSWER_S)
    login, found_in = flower_login(folder, os.environ)
    parts += byline.services(settings, exporter, client, login, own_cache)
    found = prometheus.programs(settings)
    words = f"  flower: {found_in}"
    if "prometheus" in found:
        monitoring, lines = _monitoring(settings, folder, found)
        parts += monitoring
        words += f"\n{lines}"
    environ = environment(settings, login, found)
    return Assembly(parts, environ, client, byline.api_url(settings), words)


def _monitoring(settings: Settings, folder: Path, found: dict[str, str]) -> tuple[list[Part], str]:
    """Returns the monitoring parts whose programs are in ``found``, and lines for the terminal.

    ``found`` has the paths of Prometheus and, if installed, of Alertmanager and the Redis exporter.
    Alertmanager is removed from ``found`` if its configuration is unusable.
    """
    login, parts = monitoring_login(folder), []
    names, words = "prometheus", ""
    if program := found.get("alertmanager"):
        try:
            part, channels = alertmanager.part(settings, folder / "alertmanager", program, login)
            parts.append(part)
            names, words = "prometheus, alertmanager", f"\n  alerts: {channels}"
        except alertmanager.Unfit as error:
            del found["alertmanager"]
            words = f"\n  alertmanager is not started: {error}"
    parts += prometheus.parts(settings, folder / "prometheus", found, login)
    return parts, f"  {names}: {login.words}{words}"


def environment(settings: Settings, login: str, found: Container[str]) -> dict[str, str]:
    """Returns the environment variables of the parts.

    These are the variables of this process, and more, such as the broker's URL. ``login`` is
    ``user:password`` of Flower. ``found`` has the names of the monitoring parts that run.
    """
    return {
        **os.environ,
        VARIABLE: os.environ.get(VARIABLE) or login,
        "BYLINE_REDIS_URL": settings.broker.reveal(),
        "BYLINE_REDIS_PASSWORD_FILE": "",  # the URL has the password now
        "CE_BROKER_URL": settings.broker.reveal(),
        prometheus.REDIS_VARIABLE: settings.broker.reveal(),
        **prometheus.REDIS_ONLY,
        # The console links only to programs that run. Port 0 means no link.
        **{
            f"BYLINE_{name.upper()}_PORT": str(getattr(settings, f"{name}_port"))
            if name in found
            else "0"
            for name in ("prometheus", "alertmanager")
        },
        "PYTHONUNBUFFERED": "1",  # so that a part's last lines are in its log
    }
