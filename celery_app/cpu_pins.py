"""Pins the processes of a server to CPUs, so that the threads of a process take turns faster.

Only one thread of a process runs Python code at a time. If the next thread is on another CPU, the
turn costs more. docs/performance.md has the figures.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Hashable


class CpuPins:
    """The CPUs to which the forks of this process are pinned, each to one CPU. Linux only."""

    def __init__(self) -> None:
        self._cpus = sorted(os.sched_getaffinity(0))
        random.shuffle(self._cpus)  # so that two servers on one machine rarely choose the same CPUs
        self._pinned: dict[Hashable, int] = {}

    def pin_fork(self, fork: Hashable) -> None:
        """Chooses a CPU for ``fork``, which names the next fork of this process.

        The CPU is one to which the fewest forks are pinned. This method pins the present process
        itself, because a fork inherits the CPUs of its parent.
        """
        taken = Counter(self._pinned.values())
        self._pinned[fork] = min(self._cpus, key=taken.__getitem__)
        os.sched_setaffinity(0, {self._pinned[fork]})

    def release(self, fork: Hashable) -> None:
        """Frees the CPU of a fork that has ended."""
        self._pinned.pop(fork, None)
