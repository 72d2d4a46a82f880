"""Logs a line at most once in ten minutes, even if its cause recurs every second."""

from __future__ import annotations

import logging
import time

#: Seconds for which the same line is not logged again.
REPEAT_S = 600.0

#: Monotonic time at which each line was logged last, in seconds. There are few such lines.
_logged: dict[tuple[str, str, tuple[str, ...]], float] = {}


def log_once(logger: logging.Logger, level: int, line: str, *kinds: str) -> None:
    """Logs ``line % kinds`` with ``logger``, at most once in ten minutes.

    ``kinds`` must come from a fixed set, such as the names of keys or errors, because every logged
    line is remembered.
    """
    key, now = (logger.name, line, kinds), time.monotonic()
    if now - _logged.get(key, -REPEAT_S) < REPEAT_S:
        return
    _logged[key] = now
    logger.log(level, line, *kinds)
