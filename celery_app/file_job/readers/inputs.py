"""Opens the input of a file job: a file of a known format, or the standard input."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from hashlib import sha256
from importlib.util import find_spec
from io import FileIO
from pathlib import Path

import msgspec

from celery_app.file_job.errors import JobError
from celery_app.file_job.readers.csv_rows import csv_rows
from celery_app.file_job.readers.json_lines import json_lines
from celery_app.file_job.readers.rows import Block
from model.training.errors import place

#: The name of the standard input and of the standard output on the command line.
STANDARD = "-"
#: Number of bytes at the beginning of a file that tell it from another file of the same size.
HEAD_BYTES = 65_536
#: The formats, by extension. A file of another kind than a regular file may have no extension.
FORMATS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".parquet": "parquet"}
#: First bytes of files that people take for one of the formats, and what to do.
_OTHER = (
    (b"\x1f\x8b", "the file is compressed by gzip", "gunzip -c FILE, and DATA=- reads its output"),
    (b"PK\x03\x04", "the file is a ZIP archive or a spreadsheet", "save it as .csv in UTF-8"),
    (b"\xff\xfe", "the file is in UTF-16", "convert it: iconv -f UTF-16 -t UTF-8 OLD > NEW"),
    (b"\xfe\xff", "the file is in UTF-16", "convert it: iconv -f UTF-16 -t UTF-8 OLD > NEW"),
)


class Identity(msgspec.Struct, frozen=True):
    """The size, modification time and hash that show whether a file is still the same."""

    size: int
    modified_ns: int
    #: SHA-256 of the first ``HEAD_BYTES`` bytes, in hexadecimal.
    head: str


class Input:
    """The input of a job. A regular file can be read from any row on, other inputs only once."""

    def __init__(self, given: str) -> None:
        """Opens the file ``given``, or the standard input for ``-``.

        Raises:
            JobError: there is no such file, it can't be read, or its format is unknown.
        """
        self.name = "standard input" if given == STANDARD else place(Path(given))
        try:
            self._file = FileIO(0, closefd=False) if given == STANDARD else FileIO(given)
        except OSError as error:
            remedy = "name a file" if isinstance(error, IsADirectoryError) else "check the name"
            raise JobError(f"{self.name}: {error.strerror}: {remedy}") from None
        self._is_regular = given != STANDARD and stat.S_ISREG(os.fstat(self._file.fileno()).st_mode)
        self._format = self._format_of(Path(given))
        #: None if the input is no regular file: a job can't go on in the middle of it.
        self.identity = self._look() if self._is_regular else None

    @property
    def size(self) -> int | None:
        """The size of the input: bytes, or rows of Parquet; None if it is no regular file."""
        if self.identity is None:
            return None
        if self._format == "parquet":
            from celery_app.file_job.readers.parquet_rows import count  # noqa: PLC0415 - pyarrow

            return count(self._file, self.name)
        return self.identity.size

    def blocks(self, start: int) -> Iterator[Block]:
        """Yields the rows in blocks, from the place ``start`` on.

        ``start`` is 0 for the first row. Otherwise it is the field ``end`` of an earlier block.
        """
        if self._format == "csv":
            return csv_rows(self._file, start, self.name)
        if self._format == "parquet":
            from celery_app.file_job.readers.parquet_rows import parquet_rows  # noqa: PLC0415

            return parquet_rows(self._file, start, self.name)
        return json_lines(self._file, start)

    def is_file(self, path: Path) -> bool:
        """Returns whether ``path`` is the file that this input reads."""
        status = os.fstat(self._file.fileno())
        return self._is_regular and path.exists() and os.path.samestat(status, path.stat())

    def check_unchanged(self) -> None:
        """Checks that the file is still as it was when it was opened.

        Raises:
            JobError: the file has changed.
        """
        if self._is_regular and self._look() != self.identity:
            raise JobError(
                f"{self.name}: the file changed while it was read, so the results may be of both "
                "contents: start the job again when nothing writes to the file"
            )

    def _look(self) -> Identity:
        status = os.fstat(self._file.fileno())
        head = os.pread(self._file.fileno(), HEAD_BYTES, 0)
        for start, finding, remedy in _OTHER:
            if head.startswith(start):
                raise JobError(f"{self.name}: {finding}: {remedy}")
        return Identity(status.st_size, status.st_mtime_ns, sha256(head).hexdigest())

    def _format_of(self, path: Path) -> str:
        found = FORMATS.get(path.suffix.lower())
        if found is None and self._is_regular:
            known = ", ".join(FORMATS)
            raise JobError(
                f"{self.name}: unknown extension {path.suffix!r}: rename the file to one of {known}"
            )
        if found == "parquet":
            check_parquet(self.name)
            if not self._is_regular:
                raise JobError(f"{self.name}: Parquet can't be read from a pipe: name a file")
        return found or "jsonl"


def check_parquet(name: str) -> None:
    """Checks that pyarrow, the package for Parquet, is installed.

    ``name`` is the Parquet file, for the error text.

    Raises:
        JobError: the package is missing.
    """
    if find_spec("pyarrow") is None:
        raise JobError(
            f"{name}: Parquet needs the package pyarrow, of the extra 'parquet': install it with "
            ".venv/bin/pip install --requirement requirements/parquet.lock"
        )
