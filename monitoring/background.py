"""Threads that repeat a step for as long as their process lives, whatever the step raises.

Every thread of Byline is one of these: nobody else would notice that one has ended.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

logger = logging.getLogger(__name__)

#: Seconds before a step that failed is tried again: at first, at most.
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 5.0
#: Seconds before a failure of a kind that was logged is logged again.
QUIET_S = 60.0


class Failures:
    """Logs the failures of one repeated step, each kind once a minute, and spaces the attempts."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._pause_s = FIRST_PAUSE_S
        #: By kind, the monotonic time of the last time that it was logged, in seconds.
        self._logged: dict[type[Exception], float] = {}

    def add(self, error: Exception) -> float:
        """Log ``error`` where it is news, and return how many seconds to wait."""
        now = time.monotonic()
        if now >= self._logged.get(type(error), -QUIET_S) + QUIET_S:
            self._logged[type(error)] = now
            logger.error("%s failed, and is tried again", self._name, exc_info=error)
        pause_s = self._pause_s
        self._pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        return pause_s

    def over(self) -> None:
        """Note that the step succeeded: after the next failure it is tried again soon."""
        self._pause_s = FIRST_PAUSE_S


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
