"""Threads that repeat a step for as long as their process lives, whatever the step raises.

Every thread of Byline is one of these: nobody else would notice that one has ended.
"""

from __future__ import annotations

import logging
import threading
import time
import traceback
from collections.abc import Callable

logger = logging.getLogger(__name__)

#: Seconds before a step that failed is tried again: at first, at most.
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 5.0
#: Seconds before a failure of a kind that was logged is logged again.
QUIET_S = 60.0


class Failures:
    """Logs the failures of one repeated step, each kind once a minute, and spaces the attempts."""

    def __init__(self, name: str, then: str = ", and is tried again") -> None:
        """``then`` ends the line that is logged."""
        self._words = f"{name} failed{then}"
        self._pause_s = FIRST_PAUSE_S
        #: By kind, when it was logged last: monotonic, in seconds.
        self._logged: dict[object, float] = {}

    def add(self, error: Exception) -> float:
        """Log ``error`` where it is news, and return how many seconds to wait."""
        now, kind = time.monotonic(), _kind(error)
        if now >= self._logged.get(kind, -QUIET_S) + QUIET_S:
            self._logged[kind] = now
            logger.error("%s", self._words, exc_info=error)
        pause_s = self._pause_s
        self._pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        return pause_s

    def over(self) -> None:
        """Note that the step succeeded: after the next failure it is tried again soon."""
        self._pause_s = FIRST_PAUSE_S


def _kind(error: Exception) -> object:
    """Return what tells failures apart: the type, and the line that raised it."""
    place = None
    for frame, line in traceback.walk_tb(error.__traceback__):
        place = frame.f_code, line
    return type(error), place


def guarded(step: Callable[[], object], name: str) -> Callable[[], None]:
    """Return ``step`` as a timer or a server may call it again and again: it raises nothing."""
    failures = Failures(name)

    def call() -> None:
        try:
            step()
        except Exception as error:
            failures.add(error)

    return call


def start(
    step: Callable[[], object], name: str, stop: threading.Event | None = None
) -> threading.Thread:
    """Start a thread that does ``step`` again and again, until ``stop`` is set.

    The step itself waits where there is nothing to do.
    """
    stop = stop or threading.Event()

    def repeat() -> None:
        failures = Failures(name)
        while not stop.is_set():
            try:
                step()
            except Exception as error:
                stop.wait(failures.add(error))
            else:
                failures.over()

    thread = threading.Thread(target=repeat, name=name, daemon=True)
    thread.start()
    return thread
