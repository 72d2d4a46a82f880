"""The client for programs without asyncio. Byline's workers find the author of each text."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Unpack

from celery_app.client.async_client import CallOptions, Client
from celery_app.client.event_loop import EventLoopThread, run_on
from tasks.messages import Attribution, Outcome


class SyncClient:
    """Finds the authors of texts, for blocking code: ``with SyncClient(redis_url) as client``.

    Any number of threads can call the client at the same time. A process that forks must make the
    client after the fork.
    """

    def __init__(self, redis_url: str, **settings: Any) -> None:
        """Makes a client for the broker at ``redis_url``, such as ``redis://127.0.0.1:6390/0``.

        ``settings`` are fields of ``Settings``, such as ``cache_url``. No setting is read from the
        environment.

        Raises:
            SettingsError: a setting contradicts another, or a URL can't be used.
        """
        self._client = Client(redis_url, **settings)
        #: The thread of the event loop. A fork of this process does not have the thread.
        self._thread: EventLoopThread | None = None

    def __enter__(self) -> SyncClient:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self) -> None:
        """Starts the client, and the thread of its event loop."""
        if self._thread is not None:
            raise RuntimeError("the client is open already")
        thread = EventLoopThread()
        thread.start()
        try:
            run_on(thread.loop, self._client.open())
        except BaseException:
            thread.stop()
            raise
        self._thread = thread

    def close(self) -> None:
        """Stops the client and its thread.

        Each text without an outcome gets the failure ``no_answer``.
        """
        thread, self._thread = self._thread, None
        if thread is not None:
            run_on(thread.loop, self._client.close())
            thread.stop()

    def attribute(self, texts: Iterable[str], **options: Unpack[CallOptions]) -> list[Attribution]:
        """Returns the attribution of each text, in order. Keyword arguments are ``CallOptions``.

        Raises:
            BylineError: the error of the first text that has no attribution. A note on the
                error says which text this is.
        """
        return run_on(self._loop, self._client.attribute(texts, **options))

    def attribute_each(self, texts: Iterable[str], **options: Unpack[CallOptions]) -> list[Outcome]:
        """Returns an attribution or a ``Failure`` for each text, in order.

        If one text fails, the other texts can still get attributions. Keyword arguments are
        ``CallOptions``.
        """
        return run_on(self._loop, self._client.attribute_each(texts, **options))

    @property
    def _loop(self) -> asyncio.AbstractEventLoop:
        if self._thread is None:
            raise RuntimeError("the client is not open: use `with`")
        return self._thread.loop
