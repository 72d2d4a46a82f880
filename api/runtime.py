"""What one process answers with: its services, on an event loop.

Under a WSGI server the loop is a thread of its own, begun with the first request and so after any
fork. Under the accelerator it is the server's.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from contextvars import Context
from typing import Any, TypeVar

from api.access.keys_file import KeysFile
from api.factory import Services, build
from celery_app.client.event_loop import EventLoopThread, run_on
from celery_app.settings import Settings

T = TypeVar("T")


#: Threads that are left where all others wait for answers.
SPARE_THREADS = 4


class Runtime:
    """The services of one process. Each process that is forked starts its own."""

    services: Services

    def __init__(self, settings: Settings) -> None:
        """Read the keys file, if there is one.

        Raises:
            SettingsError: the keys file is bad.
        """
        self.settings = settings
        self.keys = None if settings.keys_file is None else KeysFile(settings.keys_file)
        self._loop: asyncio.AbstractEventLoop
        self._thread: EventLoopThread | None = None
        self._starting = threading.Lock()
        self._pid = 0
        #: Threads that may wait for an answer; some are left for those who ask how Byline is.
        self._waiting = threading.BoundedSemaphore(max(1, settings.api_threads - SPARE_THREADS))

    @property
    def started(self) -> bool:
        """Whether this process has its services."""
        return self._pid == os.getpid()

    def wait_s(self) -> float:
        """Return how many seconds a message takes that comes now. Not for the loop's thread."""
        return self.run(self._wait_s()) if self.started else 0.0

    async def _wait_s(self) -> float:
        return self.services.client.dispatcher.wait_s

    def ensure_started(self) -> None:
        """Start the event loop's thread and the services, unless this process has."""
        if self.started:
            return
        with self._starting:
            if not self.started:
                thread = EventLoopThread()
                thread.start()
                try:
                    # In no request's context: what is started here goes on after it.
                    Context().run(run_on, thread.loop, self.open())
                except BaseException:
                    thread.stop()  # the next request tries again
                    raise
                self._thread = thread

    async def open(self) -> None:
        """Start the services on the running loop."""
        self._loop = asyncio.get_running_loop()
        self.services = build(self.settings, self.keys)
        self.services.client.dispatcher.start()
        self._pid = os.getpid()

    async def close(self) -> None:
        """Stop the services. What is unanswered stays so."""
        await self.services.client.dispatcher.stop()

    def stop(self) -> None:
        """Stop what :meth:`ensure_started` has started, if it has."""
        if self._thread is not None and self.started:
            run_on(self._thread.loop, self.close())
            self._thread.stop()
            self._pid = 0

    @contextmanager
    def thread_to_wait(self) -> Iterator[bool]:
        """Have a thread to wait in during the block; False: too many wait already."""
        has = self._waiting.acquire(blocking=False)
        try:
            yield has
        finally:
            if has:
                self._waiting.release()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the event loop, from another thread; return what it returns."""
        return run_on(self._loop, coroutine)
