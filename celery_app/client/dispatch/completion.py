"""An event that is set once. Many coroutines can wait for it, each with its own deadline."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable
from functools import partial

logger = logging.getLogger(__name__)


class Completion:
    """An event like ``asyncio.Event``. Each wait has its own deadline and needs no asyncio task."""

    __slots__ = ("_callbacks", "_set")

    def __init__(self) -> None:
        self._set = False
        #: None instead of an empty list: most events never have a waiter.
        self._callbacks: list[Callable[[], None]] | None = None

    def is_set(self) -> bool:
        """Returns whether :meth:`set` was called."""
        return self._set

    def set(self) -> None:
        """Sets the event, and wakes all waiters. Call this in the event loop's thread."""
        self._set = True
        callbacks, self._callbacks = self._callbacks, None
        for callback in callbacks or ():
            try:
                callback()
            except Exception:  # a defect; the other waiters must still be woken
                logger.exception("a callback of a message failed")

    def then(self, callback: Callable[[], None]) -> None:
        """Calls ``callback`` when the event is set, or at once if it is set already."""
        if self._set:
            callback()
        elif self._callbacks is None:
            self._callbacks = [callback]
        else:
            self._callbacks.append(callback)

    async def wait(self, until: float) -> bool:
        """Waits for the event, but not beyond the monotonic time ``until``.

        Returns whether the event is set. If ``until`` is ``math.inf``, the wait has no deadline.
        """
        left = until - time.monotonic()
        if self._set or left <= 0:
            return self._set
        loop = asyncio.get_running_loop()
        waiter = loop.create_future()
        timer = None if left == math.inf else loop.call_later(left, _resolve, waiter)
        self.then(partial(_resolve, waiter))
        try:
            await waiter
        finally:
            if timer is not None:
                timer.cancel()
        return self._set


def _resolve(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
