"""Sends the rows of a file job to the workers, and writes the results in the rows' order."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Protocol

from celery_app.file_job.asking import Asking
from celery_app.file_job.feeder import Feeder
from celery_app.file_job.progress import Report
from celery_app.file_job.readers.rows import Block
from celery_app.file_job.results import Counts, encode
from tasks.messages import Outcome

#: Seconds between two updates of the progress.
UPDATE_S = 0.5
#: Seconds without a result after which the job says what it waits for.
SILENT_S = 5.0
#: What the job waits for if it has results that it can't write.
SLOW_OUTPUT = "the output takes no more at present: its reader, or the disk, is slow"


class Output(Protocol):
    """What a job needs of its output: a method that writes results."""

    def write(self, lines: bytes, counts: Counts) -> None:
        """Writes ``lines``, the results of the next rows. ``counts`` includes these rows."""


class Job:
    """Reads blocks of rows, gets the result of each row, and writes the results in order."""

    def __init__(
        self, output: Output, asking: Asking, counts: Counts, room: int, explain: bool
    ) -> None:
        """``counts`` counts the rows that have results. The job updates this object.

        ``room`` is the largest total size of rows in progress (sent, but without a written result),
        in units of 2,000 characters. A block larger than ``room`` is sent only while no other block
        is in progress.
        """
        self._output = output
        self._asking = asking
        self._counts = counts
        self._room = room
        self._explain = explain
        #: Size of the blocks in progress, in units of :mod:`tasks.work`.
        self._held = 0
        self._freed = asyncio.Event()
        #: Whether results are being written.
        self._writes = False
        #: The blocks in progress, in order, each with the task that gets its outcomes. None is the
        #: last item.
        self._sent: asyncio.Queue[tuple[Block, asyncio.Task[list[Outcome]]] | None]
        self._sent = asyncio.Queue()

    async def run(self, blocks: Iterator[Block], report: Report) -> None:
        """Sends all blocks, and writes a result for each of their rows.

        Raises:
            ExceptionGroup: the job failed. The group has a :class:`JobError`, or another error if
                Byline has a defect.
        """
        async with asyncio.TaskGroup() as group:
            watch = group.create_task(self._watch(report))
            sender = group.create_task(self._send(blocks, group))
            await self._write()
            await sender
            watch.cancel()
        report.update(self._counts)

    async def _send(self, blocks: Iterator[Block], group: asyncio.TaskGroup) -> None:
        async for block in Feeder(blocks):
            while self._held and self._held + block.size > self._room:
                self._freed.clear()
                await self._freed.wait()
            self._held += block.size
            outcomes = group.create_task(self._asking.outcomes(block.rows))
            self._sent.put_nowait((block, outcomes))
        self._sent.put_nowait(None)

    async def _write(self) -> None:
        while (sent := await self._sent.get()) is not None:
            block, task = sent
            outcomes = await task
            lines = [
                encode(row, outcome, self._explain)
                for row, outcome in zip(block.rows, outcomes, strict=True)
            ]
            self._counts.add(outcomes, block.end)
            # In a thread: the disk, or the reader of a pipe, may be slow.
            self._writes = True
            await asyncio.to_thread(self._output.write, b"".join(lines), self._counts)
            self._writes = False
            self._held -= block.size
            self._freed.set()

    async def _watch(self, report: Report) -> None:
        """Reports the progress regularly, and the reason if no result comes for some seconds."""
        rows, silent_s = self._counts.rows, 0.0
        while True:
            await asyncio.sleep(UPDATE_S)
            report.update(self._counts)
            silent_s = silent_s + UPDATE_S if self._held and rows == self._counts.rows else 0.0
            rows = self._counts.rows
            if silent_s >= SILENT_S:
                report.waits(SLOW_OUTPUT if self._writes else self._asking.obstacle())
