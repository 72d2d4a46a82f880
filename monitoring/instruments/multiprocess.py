"""Makes the folder in which api processes share their metrics, so that a scrape can sum them."""

from __future__ import annotations

import fcntl
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree

#: Environment variable that holds the folder's path. prometheus-client reads the variable when it
#: is imported, so nothing may import prometheus-client before :func:`folder` has set the variable.
VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
#: Prefix of the folder's name.
PREFIX = "byline-metrics-"
#: File in the folder. The process that made the folder locks this file while the folder is in use.
LOCK = "lock"


@contextmanager
def folder() -> Iterator[None]:
    """Makes an empty folder for metrics, and deletes the folder when the ``with`` block ends.

    This process, and all processes that it starts in the block, write their metrics there.
    """
    _sweep()
    path, owner = Path(tempfile.mkdtemp(prefix=PREFIX)), os.getpid()
    os.environ[VARIABLE] = str(path)
    unlocked = path / f"{LOCK}.new"
    with unlocked.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        unlocked.rename(path / LOCK)  # another process's sweep sees only a locked file
        try:
            yield
        finally:
            if os.getpid() == owner:  # a process that was forked within the block ends here, too
                rmtree(path, ignore_errors=True)  # a process that is being killed may still write


def _sweep() -> None:
    """Deletes the shared folders that killed processes have left behind."""
    for lock in Path(tempfile.gettempdir()).glob(f"{PREFIX}*/{LOCK}"):
        try:
            with lock.open("r+") as held:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                rmtree(lock.parent, ignore_errors=True)
        except OSError:
            continue  # the folder is in use, or belongs to another user


def port_error(host: str, port: int) -> str:
    """Returns the reason why the metrics port can't be used; empty if it can be used.

    A port on which another server listens can't be used.
    """
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            # This socket lacks SO_REUSEPORT, with which the processes of one API server share the
            # port. Otherwise a second API server could share the port too, and each scrape by
            # Prometheus would show only one of the two servers.
            listener.bind(address)
            listener.listen(1)
    except OSError as error:
        return str(error)
    return ""
