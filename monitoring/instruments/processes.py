"""Measures the memory of processes. A memory page that processes share counts only once."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterable
from pathlib import Path

import psutil

_ROLLUP = "/proc/{}/smaps_rollup"
#: File that lists the control groups of this process.
_GROUPS = Path("/proc/self/cgroup")
#: For control groups version 2, then version 1: the controller, the folder of all groups, and the
#: name of the file that holds a group's memory limit.
_LIMITS = (
    ("", Path("/sys/fs/cgroup"), "memory.max"),
    ("memory", Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"),
)
#: Number of the structure that macOS's ``proc_pid_rusage`` fills: ``rusage_info_v2``.
_RUSAGE_V2 = 2
#: Size of the buffer for ``rusage_info_v2``, in 64-bit words; more than the structure has.
_RUSAGE_WORDS = 64
#: Index of the word that holds ``ri_phys_footprint`` (sys/resource.h).
_FOOTPRINT = 2 + 7


def memory(pid: int) -> int:
    """Returns the memory of a process in bytes; 0 if it has ended or belongs to another user.

    The memory is the proportional set size on Linux, and the footprint on macOS.
    """
    if sys.platform == "darwin":
        return _footprint(pid)  # as macOS's own tools show it
    # Not the resident size, because a sum of resident sizes counts shared pages several times.
    try:
        rollup = Path(_ROLLUP.format(pid)).read_text()
    except OSError:
        return 0
    sizes = (line.split()[1] for line in rollup.splitlines() if line.startswith("Pss:"))
    return sum(int(kilobytes) * 1024 for kilobytes in sizes)


def resident(pid: int) -> int:
    """Returns the resident size of a process in bytes; 0 if it has ended.

    The resident size is never less than the result of :func:`memory`, and is faster to read.
    """
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0


def family(root: int) -> list[int]:
    """Returns the ids of the process ``root`` and of all its descendants.

    The list is empty if the process has ended.
    """
    try:
        process = psutil.Process(root)
        return [root, *(child.pid for child in process.children(recursive=True))]
    except psutil.Error:
        return []


def sum_of(pids: Iterable[int]) -> int:
    """Returns the sum of the memory of the processes ``pids``, in bytes."""
    return sum(memory(pid) for pid in pids)


def total() -> int:
    """Returns the memory that this process may use, in bytes: the machine's, or a lower limit.

    The limit may be that of a container or of a systemd unit.
    """
    return min(int(psutil.virtual_memory().total), *_limits())


def _limits() -> list[int]:
    """Returns the memory limits of this process's control groups and their parents, in bytes.

    ``sys.maxsize`` stands for no limit.
    """
    try:
        groups = [line.split(":", 2) for line in _GROUPS.read_text().splitlines()]
    except OSError:  # not on Linux
        return [sys.maxsize]
    files = {
        root / path.lstrip("/") / file
        for _, controllers, group in groups
        for controller, root, file in _LIMITS
        if controller in controllers.split(",")
        for path in (group, *map(str, Path(group).parents))
    }
    read = (file.read_text().strip() for file in files if file.is_file())
    return [sys.maxsize, *(int(limit) for limit in read if limit.isdigit())]


def _footprint(pid: int) -> int:
    usage = (ctypes.c_uint64 * _RUSAGE_WORDS)()
    libproc = ctypes.CDLL("/usr/lib/libproc.dylib", use_errno=True)
    if libproc.proc_pid_rusage(pid, _RUSAGE_V2, ctypes.byref(usage)):
        if ctypes.get_errno() in (0, 1, 3):  # EPERM or ESRCH: another user's process, or it ended
            return 0
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return int(usage[_FOOTPRINT])
