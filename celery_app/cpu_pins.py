"""Pins the processes of a server to CPUs, so that switches between threads are faster.

Only one thread of a process runs Python code at a time. A switch to a thread on another CPU takes
longer. docs/performance.md has the figures.
"""

from __future__ import annotations

import logging
import os
import random
from collections import Counter
from collections.abc import Hashable

logger = logging.getLogger(__name__)


class CpuPins:
    """Pins each fork (child process) of this process to one CPU. Works only on Linux.

    This process itself keeps all its CPUs.
    """

    def __init__(self) -> None:
        self._cpu_of: dict[Hashable, int] = {}

    def choose(self, fork: Hashable) -> None:
        """Chooses a CPU for the next fork of this process. ``fork`` identifies this fork.

        The choice is random among the CPUs with the fewest pinned forks.
        """
        cpus = list(os.sched_getaffinity(0))
        # So two servers on one machine rarely choose the same CPU.
        random.shuffle(cpus)
        taken = Counter(self._cpu_of.values())
        self._cpu_of[fork] = min(cpus, key=taken.__getitem__)

    def pin(self, fork: Hashable) -> None:
        """Pins the current process, a fork, to the CPU that :meth:`choose` chose for ``fork``.

        If the system refuses, logs a warning, and the process runs without a pin.
        """
        # The parent process is not pinned. So a new program that the parent starts, and that later
        # replaces the parent, can use all the parent's CPUs.
        try:
            os.sched_setaffinity(0, {self._cpu_of[fork]})
        except OSError as error:
            logger.warning("this process is not pinned to a CPU: %s", error)

    def release(self, fork: Hashable) -> None:
        """Frees the CPU of a fork that has ended."""
        self._cpu_of.pop(fork, None)
