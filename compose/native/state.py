"""The state folder, which is one run's at a time."""

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

#: Bytes that must fit in the state folder: a start's logs and the first of the queue.
ROOM = 4 * 2**20
#: Seconds that what a killed run has started is given to end.
KILLED_S = 15.0


@contextmanager
def claimed(state_dir: Path) -> Iterator[tuple[Path, int, float]]:
    """Makes the state folder, see that it takes data, and keep all others out of it.

    Yields:
        Its absolute path; the lock's file descriptor, which keeps others out for as long as any
        process has it open; and the seconds to wait for ports that a killed run may hold.

    Raises:
        CannotRun: it can't be written to, or another run has it.
    """
    folder = state_dir.absolute()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in ("logs", "valkey"):
            (folder / name).mkdir(mode=0o700, exist_ok=True)
        if words := private_folder.shut(folder):
            say(f"byline: {words}")
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
    """Locks the file. Returns whether the run that had it last was killed."""
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
        say(f"byline: process {owner} was killed; what it has started has yet to end …")
        time.sleep(1)  # between two looks, until the deadline


def _note(lock: IO[str], owner: str) -> None:
    lock.truncate(0)
    lock.write(owner)
    lock.flush()


def _fill(probe: Path) -> None:
    """Writes :data:`ROOM` bytes and take them away again."""
    try:
        with probe.open("wb") as file:
            file.write(bytes(ROOM))
            file.flush()
            os.fsync(file.fileno())
    finally:
        probe.unlink(missing_ok=True)
