"""An event loop in a daemon thread, on which threads that may block run coroutines."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

import uvloop

T = TypeVar("T")


class EventLoopThread(threading.Thread):
    """A thread that runs an event loop until :meth:`stop`, or until the process ends.

    To be made after a fork: threads do not survive one.
    """

    def __init__(self) -> None:
        super().__init__(name="event-loop", daemon=True)
        self.loop = uvloop.new_event_loop()

    def run(self) -> None:
        """Run the loop; part of :class:`threading.Thread`."""
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_forever()
        finally:
            self.loop.close()

    def stop(self) -> None:
        """Stop the loop, and wait for the thread to end."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.join()


def run_on(loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on a loop of another thread; return what it returns, raise what it raises."""
    return asyncio.run_coroutine_threadsafe(coroutine, loop).result()
