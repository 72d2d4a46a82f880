"""Checks before the start that the configured Redis answers, and that the ports are free."""

from __future__ import annotations

import errno
import socket
import time

from redis import RedisError

from celery_app.connections import connect
from celery_app.settings import Settings
from celery_app.settings.secret_url import SecretURL
from compose.parts import prometheus
from compose.parts.errors import CannotRun
from compose.parts.part import LOOPBACK


def check_ports(settings: Settings, wait_s: float) -> None:
    """Waits until every port is free; gives up after ``wait_s`` seconds.

    Raises:
        CannotRun: a port is not free. The text names the port's setting.
    """
    until = time.monotonic() + wait_s
    for part, host, port in _listening(settings):
        while (error := _refusal(host, port)) is not None:
            if time.monotonic() < until:
                time.sleep(0.1)  # between two checks, until the deadline
                continue
            setting = f"BYLINE_{part.upper()}_PORT"
            raise CannotRun(
                f"port {port} is in use; stop what listens there or set {setting} to another"
                if error.errno == errno.EADDRINUSE
                else f"can't listen on {host}, {setting}={port}: {error.strerror}"
            )


def check_redis(setting: str, url: SecretURL) -> None:
    """Checks that a Redis or Valkey answers at ``url``, which is the value of ``setting``.

    Raises:
        CannotRun: the server does not answer. The text shows no password.
    """
    try:
        with connect(url, retries=0) as client:
            client.ping()
    except (RedisError, OSError) as error:
        raise CannotRun(f"{setting}: no Redis or Valkey answers at {url}: {error}") from None


def _listening(settings: Settings) -> list[tuple[str, str, int]]:
    """Returns a name, a host and a port for each server that this run is going to start.

    The name is in the port's setting, such as ``api`` in BYLINE_API_PORT.
    """
    ports = {
        "api": settings.api_host,
        "api_metrics": settings.metrics_host,
        "monitor": settings.metrics_host,
        "flower": LOOPBACK,
        "exporter": LOOPBACK,
    }
    ports |= {part.replace("-", "_"): LOOPBACK for part in prometheus.programs(settings)}
    if settings.redis_url is None:
        ports["redis"] = LOOPBACK
    workers = range(settings.metrics_port, settings.metrics_port + settings.workers)
    return [
        *((part, host, getattr(settings, f"{part}_port")) for part, host in ports.items()),
        *(("metrics", settings.metrics_host, port) for port in workers),
    ]


def _refusal(host: str, port: int) -> OSError | None:
    """Returns the error that a server would get on this host and port; None if the port is free."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as listener:
            # The servers set this option, too. With it, a connection just closed blocks no port.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(1)
    except OSError as error:
        return error
    return None
