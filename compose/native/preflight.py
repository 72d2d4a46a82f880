"""What is looked at before anything is started, so that a refusal leaves nothing behind."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from redis import RedisError

from celery_app.connections import connect
from celery_app.settings import Settings
from celery_app.settings_words import redacted
from compose.native.processes import alive
from compose.native.terminal import say
from compose.parts import prometheus
from compose.parts.errors import CannotRun

#: Bytes that must fit in the state folder: a start's logs and the first of the queue.
ROOM = 4 * 2**20
#: Seconds that what a killed run has started is given to end.
KILLED_S = 15.0


@contextmanager
def claimed(state_dir: Path) -> Iterator[tuple[Path, int, float]]:
    """Make the state folder, see that it takes data, and keep all others out of it.

    Yields:
        Its absolute path; the lock's file descriptor, which keeps others out for as long as any
        process has it open; and the seconds to wait for ports that a killed run may hold.

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
        killed = _lock(lock, state_dir)
        _note(lock, str(os.getpid()))
        try:
            yield folder, lock.fileno(), KILLED_S if killed else 0.0
        finally:
            _note(lock, "")


def _lock(lock: IO[str], state_dir: Path) -> bool:
    """Lock the file. Return whether the run that had it last was killed.

    Raises:
        CannotRun: another run has it, or what a killed one has started does not end.
    """

    def locked() -> bool:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    free = locked()
    lock.seek(0)
    owner = lock.read().strip()
    if free:
        return bool(owner)
    gone = owner.isdecimal() and not alive(int(owner))
    if gone:
        say(f"byline: process {owner} was killed; what it has started ends …")
        if _wait(locked, KILLED_S):
            return True
    raise CannotRun(
        f"BYLINE_STATE_DIR={state_dir} is in use by another run, process {owner}"
        f"{', which was killed, and what it has started does not end' if gone else ''}; "
        "stop that one or name another folder"
    )


def _note(lock: IO[str], owner: str) -> None:
    lock.truncate(0)
    lock.write(owner)
    lock.flush()


def check_ports(settings: Settings, patience_s: float) -> None:
    """See that every port that is going to be listened on is free, within some seconds.

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
    checked = [(part, host, getattr(settings, f"{part}_port")) for part, host in ports.items()]
    workers = range(settings.metrics_port, settings.metrics_port + settings.workers)
    checked += [("metrics", settings.metrics_host, port) for port in workers]
    for part, host, port in checked:
        if not _wait(lambda at=(host, port): not _refusal(*at), patience_s):  # type: ignore[misc]
            setting, error = f"BYLINE_{part.upper()}_PORT", _refusal(host, port)
            raise CannotRun(
                f"port {port} is in use; stop what listens there or set {setting} to another"
                if error is None or error.errno == errno.EADDRINUSE
                else f"can't listen on {host}, {setting}={port}: {error.strerror}"
            )


def check_redis(setting: str, url: str) -> None:
    """See that the server at ``url``, the value of ``setting``, answers.

    Raises:
        CannotRun: it does not. Shows no password.
    """
    try:
        with connect(url, retries=0) as client:
            client.ping()
    except (RedisError, OSError) as error:
        raise CannotRun(
            f"{setting}: no Redis or Valkey answers at {redacted(url)}: {error}"
        ) from None


def _wait(condition: Callable[[], bool], seconds: float) -> bool:
    until = time.monotonic() + seconds
    while not (true := condition()) and time.monotonic() < until:
        time.sleep(0.1)  # between two looks, until the deadline
    return true


def _fill(probe: Path) -> None:
    """Write :data:`ROOM` bytes and take them away again."""
    try:
        with probe.open("wb") as file:
            file.write(bytes(ROOM))
            file.flush()
            os.fsync(file.fileno())
    finally:
        probe.unlink(missing_ok=True)


def _refusal(host: str, port: int) -> OSError | None:
    """Return why nobody can listen there; None: one can."""
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
        return error
    return None
