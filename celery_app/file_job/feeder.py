"""Reads a file job's input in a thread, so that a slow input does not stop the event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterable, Iterator
from concurrent.futures import CancelledError

from celery_app.file_job.errors import JobError
from celery_app.file_job.readers.rows import Block

#: Number of blocks that are read ahead.
AHEAD = 2


class Feeder:
    """Yields the blocks (groups of rows) that a thread reads. Use it once, with ``async for``."""

    def __init__(self, blocks: Iterable[Block]) -> None:
        self._blocks = blocks
        #: Blocks in order; then None, or the error that ended the reading.
        self._read: asyncio.Queue[Block | Exception | None] = asyncio.Queue(AHEAD)
        self._loop = asyncio.get_running_loop()
        # A daemon thread, so that a stopped job need not wait for a pipe without new data.
        self._thread = threading.Thread(target=self._run, name="feeder", daemon=True)

    async def __aiter__(self) -> AsyncIterator[Block]:
        self._thread.start()
        while (item := await self._read.get()) is not None:
            if isinstance(item, Exception):
                raise item
            yield item

    def _run(self) -> None:
        try:
            for item in self._items():
                self._put(item)
        except CancelledError:  # the job was stopped
            return

    def _put(self, item: Block | Exception | None) -> None:
        """Adds ``item`` to the queue of read blocks, as soon as the queue has room.

        Raises ``CancelledError`` if the job was stopped.
        """
        put = self._read.put(item)
        try:
            done = asyncio.run_coroutine_threadsafe(put, self._loop)
        except RuntimeError:  # the event loop is closed
            put.close()
            raise CancelledError from None
        done.result()

    def _items(self) -> Iterator[Block | Exception | None]:
        try:
            yield from self._blocks
        except OSError as error:
            yield JobError(f"the input: {error.strerror}: run the same command again")
        except Exception as error:  # raised in the event loop's thread
            yield error
        yield None
