"""An event loop in a daemon thread, on which threads that may block run coroutines."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import CancelledError
from contextvars import Context
from typing import Any, TypeVar

import uvloop

from tasks.errors import NoAnswer

T = TypeVar("T")


class EventLoopThread(threading.Thread):
    """A thread that runs an event loop until :meth:`stop`, or until the process ends.

    To be made after a fork: threads do not survive one.
    """

    def __init__(self) -> None:
        super().__init__(name="event-loop", daemon=True)
        self.loop = uvloop.new_event_loop()
        self._stopping = asyncio.Event()

    def run(self) -> None:
        """Run the loop, and in the end cancel its tasks; part of :class:`threading.Thread`."""
        with asyncio.Runner(loop_factory=lambda: self.loop) as runner:
            runner.run(self._run(), context=Context())

    async def _run(self) -> None:
        await self._stopping.wait()

    def stop(self) -> None:
        """Stop the loop, and wait for the thread to end."""
        self.loop.call_soon_threadsafe(self._stopping.set)
        self.join()


def run_on(loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on a loop of another thread; return what it returns, raise what it raises.

    Raises:
        NoAnswer: the loop stops.
    """
    try:
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result()
    except CancelledError:
        raise NoAnswer("this process stops; the request may be sent again") from None
