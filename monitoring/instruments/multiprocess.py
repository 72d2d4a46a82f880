"""The folder in which the api's processes keep their metrics, so that they can be added up."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree

#: Where prometheus-client looks for it, when it is imported: not here, then, nor before.
VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
PREFIX = "byline-metrics-"
#: A file of it that is locked for as long as it is used.
LOCK = "lock"


@contextmanager
def folder() -> Iterator[None]:
    """Have this process, and those started within, share a folder, empty at first."""
    _sweep()
    path, owner = Path(tempfile.mkdtemp(prefix=PREFIX)), os.getpid()
    os.environ[VARIABLE] = str(path)
    unlocked = path / f"{LOCK}.new"
    with unlocked.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        unlocked.rename(path / LOCK)  # nobody sees it before it is locked
        try:
            yield
        finally:
            if os.getpid() == owner:  # a process that was forked within leaves through here, too
                rmtree(path, ignore_errors=True)  # one that is being killed may still write


def _sweep() -> None:
    """Remove the folders of those that were killed."""
    for lock in Path(tempfile.gettempdir()).glob(f"{PREFIX}*/{LOCK}"):
        try:
            with lock.open("r+") as held:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                rmtree(lock.parent, ignore_errors=True)
        except OSError:
            continue  # in use, or somebody else's
