"""Opens the input and the output of a file job. Finds the journal of an interrupted job."""

from __future__ import annotations

import sys
from io import FileIO
from pathlib import Path
from typing import NamedTuple

from celery_app.file_job import journal
from celery_app.file_job.convert import check_format
from celery_app.file_job.errors import JobError
from celery_app.file_job.journal import Journal
from celery_app.file_job.outputs import PartFile, Stream, journal_of, part_of
from celery_app.file_job.readers.inputs import STANDARD, Identity, Input


class Files(NamedTuple):
    """The input and the output of a job, and the journal if the job was interrupted."""

    input: Input
    output: PartFile | Stream
    #: The journal of the same job if it was interrupted; None for a new job.
    begun: Journal | None

    @property
    def identity(self) -> Identity | None:
        """The input's size, modification time and hash; None if the job can't go on later.

        A job can go on after an interruption only if input and output are regular files.
        """
        return self.input.identity if isinstance(self.output, PartFile) else None


def open_files(data: str, out: str, explain: bool) -> Files:
    """Opens the input ``data`` and the output ``out``. Both are paths.

    The path ``-`` means standard input or standard output.

    Raises:
        JobError: the input or the output can't be used, or the output belongs to an interrupted
            job with another input or other options.
    """
    input = Input(data)
    return Files(input, *_open_output(out, input, explain))


def _open_output(
    given: str, input: Input, explain: bool
) -> tuple[PartFile | Stream, Journal | None]:
    out = Path(given)
    if given == STANDARD:
        return Stream(FileIO(sys.stdout.fileno(), "w", closefd=False), "standard output"), None
    _check_place(out, input)
    try:
        if out.exists() and not out.is_file():
            return Stream(FileIO(given, "w"), given), None
        check_format(out, explain)
        # A user who removes the part file wants the job to begin anew.
        begun = journal.read(journal_of(out)) if part_of(out).exists() else None
        if begun is not None:
            journal.check_same(begun, input.identity, explain, part_of(out))
        return PartFile(out, begun), begun
    except OSError as error:
        raise JobError(
            f"{out}: {error.strerror}: name an output in a folder that you can write to"
        ) from None


def _check_place(out: Path, input: Input) -> None:
    """Checks that the path ``out`` can be an output.

    Raises:
        JobError: ``out`` is a folder, is in a folder that does not exist, or is the input file.
    """
    if out.is_dir():
        raise JobError(f"{out}: a folder: name a file in it")
    if not out.parent.is_dir():
        raise JobError(f"{out.parent}: no such folder: make it: mkdir -p {out.parent}")
    if input.is_file(out):
        raise JobError(f"{out}: the input and the output are one file: name another output")
