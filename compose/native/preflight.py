"""What is looked at before anything is started, so that a refusal leaves nothing behind."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from redis import Redis, RedisError

from celery_app.settings import Settings
from compose.native import prometheus
from compose.native.errors import CannotRun

#: Bytes that must fit in the state folder: a start's logs and the first of the queue.
ROOM = 4 * 2**20
#: Seconds a Redis that was named has to answer.
ANSWER_S = 5.0


@contextmanager
def claimed(state_dir: Path) -> Iterator[Path]:
    """Make the state folder, see that it takes data, and keep all others out of it.

    Yields:
        Its absolute path.

    Raises:
        CannotRun: it can't be written to, or another run has it.
    """
    folder = state_dir.absolute()
    try:
        (folder / "logs").mkdir(parents=True, exist_ok=True)
        (folder / "valkey").mkdir(exist_ok=True)
        _fill(folder / "probe")
        lock = (folder / "lock").open("a+")
    except OSError as error:
        raise CannotRun(
            f"BYLINE_STATE_DIR={state_dir}: {error.strerror}; see to it or name another folder"
        ) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise CannotRun(
                f"BYLINE_STATE_DIR={state_dir} is in use by another run, process {lock.read()}; "
                "stop that one or name another folder"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield folder


def check_ports(settings: Settings) -> None:
    """See that every port that is going to be listened on is free.

    Raises:
        CannotRun: one is not. Names the setting.
    """
    ports = {
        "api": settings.api_host,
        "api_metrics": settings.metrics_host,
        "monitor": settings.metrics_host,
        "flower": "127.0.0.1",
        "exporter": "127.0.0.1",
    }
    ports |= {part.replace("-", "_"): "127.0.0.1" for part in prometheus.programs(settings)}
    if settings.redis_url is None:
        ports["redis"] = "127.0.0.1"
    for part, host in ports.items():
        _check_port(part, host, getattr(settings, f"{part}_port"))
    for number in range(settings.workers):
        _check_port("metrics", settings.metrics_host, settings.metrics_port + number)


def check_redis(setting: str, url: str) -> None:
    """See that the server at ``url``, the value of ``setting``, answers.

    Raises:
        CannotRun: it does not. Shows no password.
    """
    try:
        with Redis.from_url(
            url, socket_timeout=ANSWER_S, socket_connect_timeout=ANSWER_S
        ) as client:
            client.ping()
    except (RedisError, ValueError) as error:
        place = urlsplit(url).netloc.rpartition("@")[2] or urlsplit(url).path
        raise CannotRun(f"{setting}: no Redis or Valkey answers at {place}: {error}") from None


def _fill(probe: Path) -> None:
    """Write :data:`ROOM` bytes and take them away again."""
    try:
        with probe.open("wb") as file:
            file.write(bytes(ROOM))
            file.flush()
            os.fsync(file.fileno())
    finally:
        probe.unlink(missing_ok=True)


def _check_port(part: str, host: str, port: int) -> None:
    setting = f"BYLINE_{part.upper()}_PORT"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as listener:
            # As the servers do it: a connection that was just closed does not hold the port.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(1)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise CannotRun(
                f"port {port} is in use; stop what listens there or set {setting} to another"
            ) from None
        raise CannotRun(f"can't listen on {host}, {setting}={port}: {error.strerror}") from None
