"""An event loop in a thread of its own. Blocking code in other threads can run coroutines on it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import CancelledError
from contextvars import Context
from typing import Any, TypeVar

from tasks.errors import NoAnswer

try:
    from uvloop import new_event_loop
except ImportError:  # a program that has only the client may lack uvloop
    from asyncio import new_event_loop  # type: ignore[assignment]

T = TypeVar("T")


class EventLoopThread(threading.Thread):
    """A daemon thread that runs an event loop until :meth:`stop`, or until the process ends.

    If the process forks, make the thread after the fork, because threads do not survive a fork.
    """

    def __init__(self) -> None:
        super().__init__(name="event-loop", daemon=True)
        self.loop = new_event_loop()
        self._stopping = asyncio.Event()

    def run(self) -> None:
        """Runs the event loop, and cancels its tasks at the end. The thread calls this method."""
        with asyncio.Runner(loop_factory=lambda: self.loop) as runner:
            runner.run(self._run(), context=Context())

    async def _run(self) -> None:
        await self._stopping.wait()

    def stop(self) -> None:
        """Stops the loop, and waits until the thread has ended."""
        self.loop.call_soon_threadsafe(self._stopping.set)
        self.join()


def run_on(loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine on the event loop of another thread.

    Returns the coroutine's result, or raises the coroutine's error.

    Raises:
        NoAnswer: the loop stopped before the coroutine ended.
    """
    try:
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result()
    except CancelledError:
        raise NoAnswer("this process stops; the request may be sent again") from None
