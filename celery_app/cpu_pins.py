"""Pins the processes of a server to CPUs, so that the threads of a process take turns faster.

Only one thread of a process runs Python code at a time. If the next thread is on another CPU, the
turn costs more. docs/performance.md has the figures.
"""

from __future__ import annotations

import logging
import os
import random
from collections import Counter
from collections.abc import Hashable

logger = logging.getLogger(__name__)


class CpuPins:
    """The CPUs to which the forks of this process are pinned, each to one CPU. Linux only.

    This process itself stays on all its CPUs, and so does a program that replaces it.
    """

    def __init__(self) -> None:
        self._cpu_of: dict[Hashable, int] = {}

    def choose(self, fork: Hashable) -> None:
        """Chooses a CPU for ``fork``, which names the next fork of this process.

        The CPU is one to which the fewest forks are pinned. Of several such CPUs, chance decides,
        so that two servers on one machine rarely choose the same.
        """
        cpus = list(os.sched_getaffinity(0))
        random.shuffle(cpus)
        taken = Counter(self._cpu_of.values())
        self._cpu_of[fork] = min(cpus, key=taken.__getitem__)

    def pin(self, fork: Hashable) -> None:
        """Pins the present process, which is ``fork``, to its CPU.

        If the system refuses this, the process goes on without a pin, and a warning says so.
        """
        try:
            os.sched_setaffinity(0, {self._cpu_of[fork]})
        except OSError as error:
            logger.warning("this process is not pinned to a CPU: %s", error)

    def release(self, fork: Hashable) -> None:
        """Frees the CPU of a fork that has ended."""
        self._cpu_of.pop(fork, None)
