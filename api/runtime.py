"""Runs the services of one API process on an event loop, so that Flask's threads can call them.

Under a WSGI server, this loop has a thread of its own. Under ASGI, it is the server's own loop.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import wait
from contextlib import contextmanager
from contextvars import Context
from typing import Any, TypeVar

from api.access.reloading_keys import ReloadingKeys
from api.services import Services, build
from celery_app.client.event_loop import EventLoopThread, run_on
from celery_app.client.thread_turns import ThreadTurns
from celery_app.settings import Settings

T = TypeVar("T")

#: Number of threads that stay free, for example for health checks, while all others wait.
SPARE_THREADS = 4
#: Longest time in seconds that the end of the process waits for the services.
EXIT_S = 5.0


class Runtime:
    """The services of one API process. After a fork, each process starts services of its own."""

    services: Services

    def __init__(self, settings: Settings) -> None:
        """Reads the keys file, if the settings name one. Starts nothing yet.

        Raises:
            SettingsError: the keys file is invalid.
        """
        self.settings = settings
        self.keys = None if settings.keys_file is None else ReloadingKeys(settings.keys_file)
        self._loop: asyncio.AbstractEventLoop
        self._thread: EventLoopThread | None = None
        self._starting = threading.Lock()
        self._pid = 0
        #: Limits the threads that wait for attributions.
        self._waiters = ThreadTurns(max(1, settings.api_threads - SPARE_THREADS))

    @property
    def started(self) -> bool:
        """Whether this process has started its services."""
        return self._pid == os.getpid()

    def wait_s(self) -> float:
        """Returns the expected seconds to answer a new message. Must not run in the event loop."""
        return self.run(self._wait_s()) if self.started else 0.0

    async def _wait_s(self) -> float:
        return self.services.client.dispatcher.wait_s

    def ensure_started(self) -> None:
        """Starts the event loop's thread and the services, unless this process has started them."""
        if self.started:
            return
        with self._starting:
            if not self.started:
                thread = EventLoopThread()
                thread.start()
                try:
                    # The services outlive this request, so they run in their own context.
                    Context().run(run_on, thread.loop, self.open())
                except BaseException:
                    thread.stop()  # the next request tries again
                    raise
                self._thread = thread
                atexit.register(self._close_at_exit)

    async def open(self) -> None:
        """Starts the services on the running event loop."""
        self._loop = asyncio.get_running_loop()
        self.services = build(self.settings, self.keys)
        self.services.client.dispatcher.start()
        self._pid = os.getpid()

    async def close(self) -> None:
        """Stops the services. Requests that are still waiting get no response."""
        await self.services.client.dispatcher.stop()

    def stop(self) -> None:
        """Stops the services and their thread, if :meth:`ensure_started` has started them."""
        if self._thread is not None and self.started:
            run_on(self._thread.loop, self.close())
            self._thread.stop()
            self._pid = 0
            atexit.unregister(self._close_at_exit)  # else this object and its connections stay

    def _close_at_exit(self) -> None:
        """Stops the services, so that the last messages are counted. Takes at most ``EXIT_S`` s."""
        if self.started:
            closing = asyncio.run_coroutine_threadsafe(self.close(), self._loop)
            if wait([closing], EXIT_S).not_done:
                logging.getLogger(__name__).error("services did not stop within %g s", EXIT_S)

    @contextmanager
    def may_wait(self) -> Iterator[bool]:
        """Yields whether this thread may wait for attributions; False if too many threads wait."""
        acquired = self._waiters.acquire()
        try:
            yield acquired
        finally:
            if acquired:
                self._waiters.release()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Runs a coroutine on the event loop from another thread, and returns its result."""
        return run_on(self._loop, coroutine)
