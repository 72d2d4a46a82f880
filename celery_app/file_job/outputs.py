"""The output of a file job: a part file that becomes the output at the end, or a stream."""

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
#: Milliseconds for which a stream waits for its reader before it looks whether the job was stopped.
READER_MS = 200


class Stream:
    """An output that can't be taken back: the standard output, a pipe or a device."""

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

        Raises:
            JobError: nobody reads the output any more, or it can't be written.
        """
        left = memoryview(lines)
        try:
            while left and not self._closed:
                if self._poll.poll(READER_MS):
                    # A pipe takes so many bytes at once, and a larger write could wait for ever.
                    left = left[self._file.write(left[: select.PIPE_BUF]) or 0 :]
        except OSError as error:
            raise JobError(
                f"{self._name}: {error.strerror} after {self.rows:,} rows: send it to a program "
                "that reads it to its end, or to a file"
            ) from None
        if not left:
            self.rows = counts.rows

    def finish(self) -> None:
        """Does nothing: the results are out already."""

    def close(self) -> None:
        """Ends a write that waits for the reader. The file stays open: it belongs to the caller."""
        self._closed = True


class PartFile:
    """A file beside the output that has the results so far. At the end it becomes the output.

    One thread at a time writes. Use :meth:`close` from any thread.
    """

    def __init__(self, out: Path, begun: Journal | None) -> None:
        """Opens the part file of ``out``. ``begun`` is its journal, with which the job goes on.

        Raises:
            JobError: another job writes this file, or the file is not what the journal says.
            OSError: the file can't be written.
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
        """Locks the file, and cuts it to the results that the journal counts."""
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
        """Returns whether the open file is the part file, and not the output of a finished job."""
        try:
            return os.path.samestat(os.fstat(self._file.fileno()), self._part.stat())
        except FileNotFoundError:
            return False

    def keep_journal(self, begun: Journal) -> None:
        """Makes the job one that can go on: from now on, ``begun`` is kept up to date on disk."""
        self._journal = begun
        self._save()

    def write(self, lines: bytes, counts: Counts) -> None:
        """Appends the results of the next rows. ``counts`` includes these rows.

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
        """Puts the output in place, and removes the part file and the journal.

        Whenever the process dies, the output is the old file or the whole new one.

        Raises:
            JobError: the output can't be written.
        """
        with self._lock:
            try:
                os.fsync(self._file.fileno())
                new = converted(self._part, self._out)
                new.replace(self._out)
                # Only now, because a job that is killed before goes on by its journal.
                self._journal = None
                self._part.unlink(missing_ok=True)
                journal_of(self._out).unlink(missing_ok=True)
            except OSError as error:
                raise self._unwritable(error) from None

    def close(self) -> None:
        """Writes the journal a last time, unless the job has finished, and closes the file."""
        with self._lock:
            if self._file.closed:
                return
            if self._journal is not None:
                with suppress(OSError):  # the journal on disk stays, and is only older
                    self._save()
            self._file.close()

    def _save(self) -> None:
        assert self._journal is not None
        # First the results, so that a journal never counts results that a power cut has taken.
        os.fsync(self._file.fileno())
        journal.write(journal_of(self._out), self._journal)
        self._saved_at = time.monotonic()

    def _unwritable(self, error: OSError) -> JobError:
        full = error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
        remedy = f"{'make room' if full else 'check the folder'}, and run the same command again"
        return JobError(f"{self._part}: {error.strerror}: {remedy}")


def part_of(out: Path) -> Path:
    """Returns the path of the part file of an output."""
    return out.with_name(f"{out.name}.part")


def journal_of(out: Path) -> Path:
    """Returns the path of the journal of an output."""
    return out.with_name(f"{out.name}.journal")


def write_all(file: FileIO, lines: bytes) -> None:
    """Writes all bytes. Raises ``OSError``."""
    left = memoryview(lines)
    while left:
        left = left[file.write(left) or 0 :]
