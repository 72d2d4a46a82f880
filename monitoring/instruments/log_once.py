"""Logs what may happen again each second once in a while."""

from __future__ import annotations

import logging
import time

#: Seconds for which the same line is not logged again.
REPEAT_S = 600.0

#: Monotonic time at which each line was logged last, in seconds. The lines are a fixed few.
_logged: dict[tuple[str, str, tuple[str, ...]], float] = {}


def log_once(logger: logging.Logger, level: int, line: str, *kinds: str) -> None:
    """Log ``line % kinds``, unless the same was logged within the last ten minutes.

    ``kinds`` come from a fixed set, such as the names of keys or errors: each is remembered.
    """
    key, now = (logger.name, line, kinds), time.monotonic()
    if now - _logged.get(key, -REPEAT_S) < REPEAT_S:
        return
    _logged[key] = now
    logger.log(level, line, *kinds)
