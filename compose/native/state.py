"""Claims the state folder, which holds a run's data, so that no other run uses the folder."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from compose.native import private_folder
from compose.native.terminal import say
from compose.parts.errors import CannotRun
from compose.parts.processes import alive

#: Free bytes that the state folder's disk must have, for the logs of a start and the first
#: messages.
NEEDED_BYTES = 4 * 2**20
#: Seconds within which the processes of a killed run must end.
KILLED_S = 15.0


@contextmanager
def claimed(state_dir: Path) -> Iterator[tuple[Path, int, float]]:
    """Makes the state folder, and locks it against other runs.

    Yields:
        The folder's absolute path, the lock file's descriptor, and a time in seconds. If the
        last run was killed, its ports may be in use for this time; else the time is 0. The folder
        stays locked while any process has the descriptor open.

    Raises:
        CannotRun: the folder can't be written to, or another run has locked it.
    """
    folder = state_dir.absolute()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in ("logs", "valkey"):
            (folder / name).mkdir(mode=0o700, exist_ok=True)
        if words := private_folder.make_private(folder):
            say(f"byline: {words}")
        _check_disk(folder / "probe")
        lock = (folder / "lock").open("a+")
    except OSError as error:
        raise CannotRun(
            f"BYLINE_STATE_DIR={state_dir}: {error.strerror}; correct that or name another folder"
        ) from None
    with lock:
        killed = _lock(lock, state_dir)
        _write_owner(lock, str(os.getpid()))
        try:
            yield folder, lock.fileno(), KILLED_S if killed else 0.0
        finally:
            _write_owner(lock, "")


def _lock(lock: IO[str], state_dir: Path) -> bool:
    """Locks the state folder's lock file. Raises CannotRun if another run has locked the file.

    Returns whether the run that last had the lock was killed.
    """
    lock.seek(0)
    owner = lock.read().strip()
    killed = owner.isdecimal() and not alive(int(owner))
    until = time.monotonic() + (KILLED_S if killed else 0)
    while True:
        with suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return killed
        if time.monotonic() >= until:
            raise CannotRun(
                f"BYLINE_STATE_DIR={state_dir} is in use by another run, process {owner}; "
                "stop that one or name another folder"
            )
        say(f"byline: process {owner} was killed; waiting for its parts to end …")
        time.sleep(1)  # between two checks, until the deadline


def _write_owner(lock: IO[str], owner: str) -> None:
    lock.truncate(0)
    lock.write(owner)
    lock.flush()


def _check_disk(probe: Path) -> None:
    """Checks the disk: writes :data:`NEEDED_BYTES` bytes to the file ``probe``, and removes it.

    Raises:
        OSError: the disk is full, or the folder can't be written to.
    """
    try:
        with probe.open("wb") as file:
            file.write(bytes(NEEDED_BYTES))
            file.flush()
            os.fsync(file.fileno())
    finally:
        probe.unlink(missing_ok=True)
