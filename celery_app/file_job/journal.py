"""The journal: a file that says how far a file job is, so that the job can go on after a stop."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import msgspec

from celery_app.file_job.errors import JobError
from celery_app.file_job.readers.inputs import Identity
from celery_app.file_job.results import Counts

#: Version of the journal's format.
FORMAT = 1


class Journal(msgspec.Struct, forbid_unknown_fields=True):
    """The contents of the journal file, which is JSON."""

    input: Identity
    #: The model version that answers all rows of the job.
    model: str
    explain: bool
    counts: Counts
    #: Number of bytes of the part file that hold the results of the counted rows.
    part_bytes: int = 0
    format: int = FORMAT


def read(path: Path) -> Journal | None:
    """Returns the journal in the file ``path``; None if the file does not exist.

    Raises:
        JobError: the file is no journal, or another version of Byline wrote it.
        OSError: the file can't be read.
    """
    try:
        journal = msgspec.json.decode(path.read_bytes(), type=Journal)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise JobError(f"{path}: no journal of a file job: {error}: remove it") from None
    if journal.format != FORMAT:
        raise JobError(f"{path}: the journal of another version of Byline: remove it")
    return journal


def write(path: Path, journal: Journal) -> None:
    """Replaces the file ``path``, the old journal, by ``journal``.

    If the process dies meanwhile, the file has the whole old or the whole new journal. Raises
    ``OSError`` if the new journal can't be written. The old journal then stays.
    """
    new = path.with_name(f"{path.name}.new")
    try:
        with new.open("wb") as file:
            file.write(msgspec.json.encode(journal))
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError:
        with suppress(OSError):
            new.unlink()
        raise


def check_same(found: Journal, input: Identity | None, explain: bool, part: Path) -> None:
    """Checks that the present job has the input and the options of the journal ``found``.

    ``part`` is the file with the results so far. The error texts name this file.

    Raises:
        JobError: the input is another file, or has changed, or ``explain`` differs.
    """
    anew = f"to begin anew, remove {part}"
    if input is None:
        raise JobError(f"{part}: results of an interrupted job with another input: {anew}")
    if found.input != input:
        raise JobError(f"{part}: the input changed since this job was interrupted: {anew}")
    if found.explain != explain:
        other = "with" if found.explain else "without"
        raise JobError(f"{part}: this job began {other} EXPLAIN=1: use the same option; {anew}")
