"""What processes take of the machine's memory, each page counted once."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterable
from pathlib import Path

import psutil

_ROLLUP = "/proc/{}/smaps_rollup"
#: Which control groups this process is in, and where their limits are: version 2, and version 1.
_GROUPS = Path("/proc/self/cgroup")
_LIMITS = (
    ("", Path("/sys/fs/cgroup"), "memory.max"),
    ("memory", Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"),
)
#: Of macOS's ``proc_pid_rusage``: which structure, as many 64-bit words as it has at most, and the
#: word that holds the footprint (sys/resource.h, ``rusage_info_v2.ri_phys_footprint``).
_RUSAGE_V2, _RUSAGE_WORDS, _FOOTPRINT = 2, 64, 2 + 7


def memory(pid: int) -> int:
    """Return the memory of one process in bytes; 0 where it is gone, or somebody else's.

    On Linux the proportional set size: a sum of resident sizes counts shared pages again and
    again. On macOS the footprint, which is what its own tools show.
    """
    if sys.platform == "darwin":
        return _footprint(pid)
    try:
        rollup = Path(_ROLLUP.format(pid)).read_text()
    except OSError:
        return 0
    sizes = (line.split()[1] for line in rollup.splitlines() if line.startswith("Pss:"))
    return sum(int(kilobytes) * 1024 for kilobytes in sizes)


def resident(pid: int) -> int:
    """Return the resident size of a process in bytes, never less than :func:`memory`, at once."""
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0


def family(root: int) -> list[int]:
    """Return a process and all its descendants; none where it is gone."""
    try:
        process = psutil.Process(root)
        return [root, *(child.pid for child in process.children(recursive=True))]
    except psutil.Error:
        return []


def sum_of(pids: Iterable[int]) -> int:
    """Return the memory of some processes, in bytes."""
    return sum(memory(pid) for pid in pids)


def total() -> int:
    """Return the machine's memory in bytes, or a container's or unit's where that is less."""
    return min(int(psutil.virtual_memory().total), *_limits())


def _limits() -> list[int]:
    """Return the limits of the control groups that this process is in, and of those around them."""
    try:
        groups = [line.split(":", 2) for line in _GROUPS.read_text().splitlines()]
    except OSError:  # no Linux
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
        if ctypes.get_errno() in (0, 1, 3):  # EPERM, ESRCH: somebody else's, or gone
            return 0
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return int(usage[_FOOTPRINT])
