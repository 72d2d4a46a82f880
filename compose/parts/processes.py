"""Checks whether a process lives, and ends all processes of a session."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress

import psutil


def alive(pid: int) -> bool:
    """Returns whether a process with this id lives. A zombie does not count."""
    with suppress(psutil.Error):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


def end_session(session: int, wait_s: float) -> None:
    """Waits until all processes of the Unix session with the id ``session`` have ended.

    After ``wait_s`` seconds, kills the processes that still run. After another ``wait_s`` seconds,
    gives up.
    """
    until = time.monotonic() + wait_s
    while left := [pid for pid in psutil.pids() if _is_in(pid, session)]:
        late = time.monotonic() - until
        for pid in left if late > 0 else ():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if late > wait_s:  # a killed process that does not end is blocked in the kernel
            return
        time.sleep(0.05)  # between two checks, until the deadline


def _is_in(pid: int, session: int) -> bool:
    with suppress(OSError):
        return os.getsid(pid) == session and alive(pid)
    return False
