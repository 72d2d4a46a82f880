"""A semaphore for threads that may wait for their turn only while other threads end theirs."""

from __future__ import annotations

import math
import threading
import time

#: Longest time between two ends of turns in a burst, in seconds.
PAUSE_S = 0.02
#: Longest time that a thread waits for its turn, in seconds.
LONGEST_S = 0.1


class BurstSemaphore:
    """Limits the number of threads that have a turn at the same time.

    In a burst, turns end every millisecond, so a thread that waits gets its turn soon. If no turn
    has ended for ``PAUSE_S``, turns have become long, perhaps because a server hangs. Then no
    thread waits: it could wait for as long as the turns last.
    """

    def __init__(self, turns: int) -> None:
        """Lets ``turns`` threads have a turn at the same time."""
        self._turns = threading.BoundedSemaphore(turns)
        self._last_end = -math.inf

    def acquire(self) -> bool:
        """Begins a turn of this thread. Returns False, without a turn, if none is free soon."""
        if self._turns.acquire(blocking=False):
            return True
        last = time.monotonic() + LONGEST_S
        while (wait_s := min(last, self._last_end + PAUSE_S) - time.monotonic()) > 0:
            if self._turns.acquire(timeout=wait_s):
                return True
        return False

    def release(self) -> None:
        """Ends the turn of this thread."""
        self._last_end = time.monotonic()
        self._turns.release()
