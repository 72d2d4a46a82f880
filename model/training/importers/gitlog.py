"""Reads the commit messages of a git repository."""

from __future__ import annotations

import os
import subprocess
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, NamedTuple

from model.training.errors import DataError, place
from model.training.importers.committext import is_bot, own_words
from model.training.importers.records import (
    MAX_CHARACTERS,
    MIN_DOCUMENTS,
    LeftOut,
    Reading,
    Record,
    counting,
    make_record,
)

#: What git writes about a commit, with a zero byte behind each part: the author's name and address
#: by the mailmap, the day, the parents, the block of trailers, and the whole message.
FORMAT = "--format=tformat:%aN%x00%aE%x00%ad%x00%P%x00%(trailers)%x00%B"
PARTS = FORMAT.count("%x00") + 1
#: Largest number of bytes of a part. A longer message has more than ``MAX_CHARACTERS`` characters.
MAX_BYTES = 4 * MAX_CHARACTERS
#: Variables that would make git read another repository than the one that the user has named.
_OTHERS = ("GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY", "GIT_NAMESPACE")
#: Git would fetch objects that a partial clone lacks, and run the programs that the repository's
#: settings name for this. Versions of git before 2.39.4 know the second variable only.
_OFFLINE = {"GIT_NO_LAZY_FETCH": "1", "GIT_ALLOW_PROTOCOL": "none"}
#: The spans of time that can be a document, and the length of their dates. The first with which two
#: authors have enough documents is used.
_SPANS = {"month": len("2026-01"), "day": len("2026-01-31")}


class _Commit(NamedTuple):
    name: str
    address: str
    day: str
    parents: str
    trailers: str
    message: str


def read_git(path: Path, reading: Reading) -> list[Record]:
    """Returns the messages of the commits on the current branch, the oldest first.

    The author is the name that the mailmap gives. An author's messages of one month are a document.
    If fewer than two authors have ``MIN_DOCUMENTS`` months, documents are days, and a note in
    ``reading`` says so. Left out are merges, commits by programs, and reverts without a reason. In
    the other messages, trailers, quoted lines and patches are left out.

    Raises:
        DataError: git is not installed, or ``path`` is no repository with commits.
    """
    _check(path, reading)
    commits, records = int(_git(path, "rev-list", "--count", "HEAD")), []
    for number, parts in enumerate(_log(path), 1):
        with counting(reading):
            records.append(_record(parts))
        reading.progress(number / commits)
    return _with_documents(records, reading)


def _check(path: Path, reading: Reading) -> None:
    """Refuses a path that is not the top of a repository, and a repository without commits.

    If the repository is shallow, ``reading`` gets a note for the user.

    Raises:
        DataError: the path is refused.
    """
    if not path.is_dir():
        finding = "not a folder" if path.exists() else "No such file or directory"
        raise DataError(f"{place(path)}: {finding}: name the folder of a git repository")
    if _git(path, "rev-parse", "--is-inside-work-tree") == "true":
        top = _git(path, "rev-parse", "--show-toplevel")
        if not path.samefile(top):
            finding = "a folder within a repository"
            raise DataError(f"{place(path)}: {finding}: name its top, {place(Path(top))}")
    if not _git(path, "rev-list", "--max-count=1", "--all"):
        raise DataError(f"{place(path)}: the repository has no commits: name another")
    _git(path, "log", "--max-count=1", "--format=%H")
    if _git(path, "rev-parse", "--is-shallow-repository") == "true":
        reading.notes.append(
            "the repository is shallow, it has the newest commits only: "
            "git fetch --unshallow brings the others"
        )


def _command(path: Path, *arguments: str) -> list[str]:
    return ["git", "-C", str(path), "-c", "log.showSignature=false", *arguments]


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in _OTHERS}
    return kept | _OFFLINE


def _git(path: Path, *arguments: str) -> str:
    """Returns the output of a git command that runs in the folder ``path``.

    Raises:
        DataError: git is not installed, or the command fails.
    """
    try:
        done = subprocess.run(
            _command(path, *arguments), env=_environment(), capture_output=True, check=False
        )
    except FileNotFoundError as error:
        raise DataError(f"{place(path)}: git is not installed: install it") from error
    if done.returncode:
        raise _failed(path, done.stderr)
    return done.stdout.decode(errors="surrogateescape").removesuffix("\n")


def _failed(path: Path, errors: bytes) -> DataError:
    """Returns the error for a git command that failed and wrote ``errors`` to standard error."""
    lines = errors.decode(errors="replace").strip().splitlines() or ["no reason"]
    reason = next((line for line in lines if line.startswith("fatal: ")), lines[0])
    return DataError(
        f"{place(path)}: git says {reason.removeprefix('fatal: ')!r}: "
        f"name a repository in which git log works, and no partial clone"
    )


def _log(path: Path) -> Iterator[tuple[bytes, ...]]:
    """Yields each commit, the oldest first, as the parts that ``FORMAT`` names.

    Raises:
        DataError: git fails, for example because the repository is damaged.
    """
    options = ("-z", "--reverse", "--no-color", "--date=short", "--encoding=UTF-8", FORMAT)
    command = _command(path, "log", *options, "HEAD", "--")
    with (
        TemporaryFile() as errors,
        subprocess.Popen(
            command, env=_environment(), stdout=subprocess.PIPE, stderr=errors
        ) as process,
    ):
        assert process.stdout is not None
        parts = _parts(process.stdout)
        yield from zip(*[parts] * PARTS, strict=False)
        if process.wait():
            errors.seek(0)
            raise _failed(path, errors.read())


def _parts(stream: IO[bytes]) -> Iterator[bytes]:
    """Yields the parts of a stream, each of which ends with a zero byte.

    A part of more than ``MAX_BYTES`` bytes may lose bytes, to save memory. It stays longer than
    ``MAX_BYTES`` bytes, so that the caller can refuse it.
    """
    rest = b""
    while chunk := stream.read(2**16):
        *whole, rest = (rest + chunk).split(b"\0")
        yield from whole
        rest = rest[: MAX_BYTES + 1]


def _record(parts: Sequence[bytes]) -> Record:
    """Returns the record of a commit. Its document is the day.

    Raises:
        LeftOut: the commit is a merge or by a program, or its message can't be used.
    """
    if max(map(len, parts)) > MAX_BYTES:
        raise LeftOut(f"longer than {MAX_CHARACTERS:,} characters")
    try:
        commit = _Commit(*(part.decode() for part in parts))
    except UnicodeDecodeError as error:
        raise LeftOut("not valid UTF-8") from error
    if " " in commit.parents:
        raise LeftOut("merges")
    if is_bot(commit.name, commit.address):
        raise LeftOut("written by programs")
    return make_record(own_words(commit.message, commit.trailers), commit.name, commit.day)


def _with_documents(records: Sequence[Record], reading: Reading) -> list[Record]:
    """Returns the records with months as documents, or with days if the months are too few.

    If even the days are too few, the documents are months.
    """
    for span, length in _SPANS.items():
        dated = [r._replace(document=r.document[: len("= ") + length]) for r in records]
        documents = defaultdict[str, set[str]](set)
        for record in dated:
            documents[record.author].add(record.document)
        if sum(len(found) >= MIN_DOCUMENTS for found in documents.values()) >= 2:
            if span == "day":
                reading.notes.append(
                    f"documents are days: fewer than two authors have {MIN_DOCUMENTS} months with "
                    "commits"
                )
            return dated
    return [r._replace(document=r.document[: len("= ") + _SPANS["month"]]) for r in records]
