"""Starts threads that repeat a step, which is a function, even after the step raised an error.

Byline starts its threads with this module. A plain thread would end at its first error, and nobody
would notice.
"""

from __future__ import annotations

import logging
import threading
import time
import traceback
from collections.abc import Callable

logger = logging.getLogger(__name__)

#: Seconds between the first failure of a step and the next attempt. The pause doubles with each
#: further failure.
FIRST_PAUSE_S = 0.5
#: Longest pause before the next attempt, in seconds.
MAX_PAUSE_S = 5.0
#: Seconds for which further failures of the same kind are not logged.
QUIET_S = 60.0


class Failures:
    """Logs the failures of a repeated step, and computes the pause before the next attempt.

    Each kind of failure is logged once a minute at most.
    """

    def __init__(self, name: str, then: str = ", and is tried again") -> None:
        """Sets the line to log after a failure: ``name``, the word "failed", and ``then``.

        For a step with the name "metrics", the line is "metrics failed, and is tried again".
        """
        self._line = f"{name} failed{then}"
        self._pause_s = FIRST_PAUSE_S
        #: Monotonic time at which each kind of failure was logged last, in seconds.
        self._logged: dict[object, float] = {}

    def add(self, error: Exception) -> float:
        """Logs ``error``, unless an error of the same kind was logged in the last minute.

        Returns how many seconds to wait before the step is tried again.
        """
        now, kind = time.monotonic(), _kind(error)
        if now >= self._logged.get(kind, -QUIET_S) + QUIET_S:
            self._logged[kind] = now
            logger.error("%s", self._line, exc_info=error)
        pause_s = self._pause_s
        self._pause_s = min(2 * pause_s, MAX_PAUSE_S)
        return pause_s

    def reset(self) -> None:
        """Sets the next pause to ``FIRST_PAUSE_S`` again, because the step has succeeded."""
        self._pause_s = FIRST_PAUSE_S


def _kind(error: Exception) -> object:
    """Returns the kind of a failure: the error's type, and the line of code that raised it."""
    place = None
    for frame, line in traceback.walk_tb(error.__traceback__):
        place = frame.f_code, line
    return type(error), place


def guarded(step: Callable[[], object], name: str) -> Callable[[], None]:
    """Returns a function that calls ``step``, and logs an error of the step instead of raising it.

    So an error of the step can't end the timer or the server that calls the returned function.
    """
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
    """Starts a thread that repeats ``step`` until ``stop`` is set or the process ends.

    The thread pauses only after an error of ``step``. If ``step`` has nothing to do, ``step`` must
    wait before it returns.
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
                failures.reset()

    thread = threading.Thread(target=repeat, name=name, daemon=True)
    thread.start()
    return thread
