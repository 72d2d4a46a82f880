"""An event that is set once, and that each waiter waits for as long as it likes."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial

logger = logging.getLogger(__name__)


class Completion:
    """As ``asyncio.Event``, with a deadline for each waiter; that one takes a task for it."""

    __slots__ = ("_set", "_waiters")

    def __init__(self) -> None:
        self._set = False
        self._waiters: list[Callable[[], None]] = []

    def is_set(self) -> bool:
        """Return whether it was set."""
        return self._set

    def set(self) -> None:
        """Wake all who wait. To be called in the loop's thread."""
        self._set = True
        waiters, self._waiters = self._waiters, []
        for call in waiters:
            try:
                call()
            except Exception:  # a defect, but the others must be woken all the same
                logger.exception("one who waited for a message broke")

    def then(self, call: Callable[[], None]) -> None:
        """Have ``call`` called as soon as it is set: at once where it was."""
        if self._set:
            call()
        else:
            self._waiters.append(call)

    async def wait(self, until: float) -> bool:
        """Wait until it is set, or the monotonic time ``until``. Return whether it is set."""
        left = until - time.monotonic()
        if self._set or left <= 0:
            return self._set
        loop = asyncio.get_running_loop()
        waiter = loop.create_future()
        timer = loop.call_later(left, _resolve, waiter)
        self._waiters.append(partial(_resolve, waiter))
        try:
            await waiter
        finally:
            timer.cancel()
        return self._set


def _resolve(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
