"""Writes the output of a file job: a stream, or a file that appears when the job has finished."""

from __future__ import annotations

import errno
import fcntl
import os
import select
import threading
import time
from contextlib import suppress
from copy import deepcopy
from io import FileIO
from pathlib import Path

from celery_app.file_job import journal
from celery_app.file_job.convert import converted
from celery_app.file_job.errors import JobError
from celery_app.file_job.journal import Journal
from celery_app.file_job.results import Counts

#: Seconds between two writes of the journal. A killed job repeats the rows of this time.
CHECKPOINT_S = 1.0
#: Milliseconds that a stream waits for its reader, between two checks whether the job was stopped.
READER_MS = 200


class Stream:
    """An output that gets each result at once: the standard output, a pipe or a device."""

    def __init__(self, file: FileIO, name: str) -> None:
        self._file = file
        self._name = name
        self._poll = select.poll()
        self._poll.register(file, select.POLLOUT)
        self._closed = False
        #: Number of rows whose results are written.
        self.rows = 0

    def write(self, lines: bytes, counts: Counts) -> None:
        """Writes the results of the next rows. Ends early if another thread closes the stream.

        ``counts`` includes these rows.

        Raises:
            JobError: the output has no reader any more, or can't be written.
        """
        left = memoryview(lines)
        try:
            while left and not self._closed:
                if self._poll.poll(READER_MS):
                    # A ready pipe takes PIPE_BUF bytes at once. A larger write could block.
                    left = left[self._file.write(left[: select.PIPE_BUF]) or 0 :]
        except OSError as error:
            raise JobError(
                f"{self._name}: {error.strerror} after {self.rows:,} rows: send it to a program "
                "that reads it to its end, or to a file"
            ) from None
        if not left:
            self.rows = counts.rows

    def finish(self) -> None:
        """Does nothing, because all results are written already."""

    def close(self) -> None:
        """Ends a :meth:`write` that waits for the output's reader. The file itself stays open."""
        self._closed = True


class PartFile:
    """A file beside the output, with the results so far. At the end it becomes the output.

    Only one thread at a time may write. Any thread may call :meth:`close`.
    """

    def __init__(self, out: Path, begun: Journal | None) -> None:
        """Opens the part file of the output ``out``, or makes a new one.

        ``begun`` is the journal of an interrupted job that goes on; None for a new job.

        Raises:
            JobError: another job writes the part file or has just finished, or the part file is
                shorter than the journal says.
            OSError: the part file can't be written.
        """
        self._out = out
        self._part = part_of(out)
        self._file = FileIO(os.open(self._part, os.O_RDWR | os.O_CREAT, 0o666), "r+")
        self._lock = threading.Lock()
        #: None until :meth:`keep_journal`.
        self._journal: Journal | None = None
        self._saved_at = time.monotonic()
        #: Number of rows whose results are written.
        self.rows = 0 if begun is None else begun.counts.rows
        try:
            self._take(0 if begun is None else begun.part_bytes)
        except BaseException:
            self._file.close()
            raise

    def _take(self, size: int) -> None:
        """Locks the part file, and removes all bytes after the first ``size`` bytes.

        These first bytes are the results that the journal counts.
        """
        try:
            fcntl.flock(self._file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise JobError(
                f"{self._part}: another job is writing this file: wait for its end, or name "
                "another output"
            ) from None
        if not self._is_in_place():
            raise JobError(f"{self._part}: another job has just finished: see {self._out}")
        if os.fstat(self._file.fileno()).st_size < size:
            raise JobError(
                f"{self._part}: shorter than its journal says: to begin anew, remove it and "
                f"{journal_of(self._out)}"
            )
        self._file.truncate(size)
        self._file.seek(size)

    def _is_in_place(self) -> bool:
        """Returns whether the open file still has the path of the part file.

        If not, another job has finished, and has renamed or deleted the file.
        """
        try:
            return os.path.samestat(os.fstat(self._file.fileno()), self._part.stat())
        except FileNotFoundError:
            return False

    def keep_journal(self, begun: Journal) -> None:
        """Writes the journal ``begun`` to disk, and keeps it up to date from now on.

        With a journal on disk, the job can go on after an interruption.
        """
        self._journal = begun
        self._save()

    def write(self, lines: bytes, counts: Counts) -> None:
        """Appends ``lines``, the results of the next rows. ``counts`` includes these rows.

        Raises:
            JobError: the disk is full, or the file can't be written. The job can go on later.
        """
        with self._lock:
            if self._file.closed:
                return  # the job was stopped meanwhile
            try:
                write_all(self._file, lines)
                self.rows = counts.rows
                if self._journal is not None:
                    self._journal.counts = deepcopy(counts)
                    self._journal.part_bytes = self._file.tell()
                    if time.monotonic() > self._saved_at + CHECKPOINT_S:
                        self._save()
            except OSError as error:
                raise self._unwritable(error) from None

    def finish(self) -> None:
        """Turns the part file into the output, in the output's format, and removes the journal.

        If the process dies meanwhile, the output is the old file or the complete new file.

        Raises:
            JobError: the output can't be written.
        """
        with self._lock:
            try:
                os.fsync(self._file.fileno())
                new = converted(self._part, self._out)
                new.replace(self._out)
                # Only now: a job that is killed before this line needs its journal to go on.
                self._journal = None
                self._part.unlink(missing_ok=True)
                journal_of(self._out).unlink(missing_ok=True)
            except OSError as error:
                raise self._unwritable(error) from None

    def close(self) -> None:
        """Closes the file. If the job has not finished, first updates the journal."""
        with self._lock:
            if self._file.closed:
                return
            if self._journal is not None:
                with suppress(OSError):  # the journal on disk stays, and is only older
                    self._save()
            self._file.close()

    def _save(self) -> None:
        assert self._journal is not None
        # First the results, so that after a power cut the journal counts no lost results.
        os.fsync(self._file.fileno())
        journal.write(journal_of(self._out), self._journal)
        self._saved_at = time.monotonic()

    def _unwritable(self, error: OSError) -> JobError:
        full = error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
        remedy = f"{'make room' if full else 'check the folder'}, and run the same command again"
        return JobError(f"{self._part}: {error.strerror}: {remedy}")


def part_of(out: Path) -> Path:
    """Returns the path of the part file, which has the results until the output is complete."""
    return out.with_name(f"{out.name}.part")


def journal_of(out: Path) -> Path:
    """Returns the path of the journal, from which an interrupted job goes on."""
    return out.with_name(f"{out.name}.journal")


def write_all(file: FileIO, lines: bytes) -> None:
    """Writes all of ``lines`` to ``file``. Raises ``OSError``."""
    left = memoryview(lines)
    while left:
        left = left[file.write(left) or 0 :]
