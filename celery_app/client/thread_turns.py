"""Limits how many threads run a section of code at the same time.

A turn is the time that one thread spends in the section. A thread waits for its turn only while
turns are short.
"""

from __future__ import annotations

import math
import threading
import time

#: Longest time between the ends of two turns in a burst of short turns, in seconds.
PAUSE_S = 0.02
#: Longest time that a thread waits for its turn, in seconds.
LONGEST_S = 0.1


class ThreadTurns:
    """Limits the number of threads that have a turn at the same time.

    A turn lasts from :meth:`acquire` to :meth:`release`. A thread waits for its turn only if a turn
    has ended in the last ``PAUSE_S`` seconds.
    """

    def __init__(self, turns: int) -> None:
        """``turns`` limits the number of threads that have a turn at the same time."""
        self._turns = threading.BoundedSemaphore(turns)
        self._last_end = -math.inf

    def acquire(self) -> bool:
        """Takes a turn if one is free or becomes free soon. Returns whether a turn was taken."""
        if self._turns.acquire(blocking=False):
            return True
        last = time.monotonic() + LONGEST_S
        # In a burst of short turns, a turn ends every millisecond. If no turn has ended for PAUSE_S
        # seconds, turns have become long, perhaps because a server hangs. Then a wait could last as
        # long as a long turn.
        while (wait_s := min(last, self._last_end + PAUSE_S) - time.monotonic()) > 0:
            if self._turns.acquire(timeout=wait_s):
                return True
        return False

    def release(self) -> None:
        """Ends the turn of this thread."""
        self._last_end = time.monotonic()
        self._turns.release()
