"""The sources of labelled messages: a data file or folder, a git repository, and mails."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from rich.progress import Progress

from model.training.errors import DataError, place
from model.training.importers.datafile import read_data
from model.training.importers.gitlog import read_git
from model.training.importers.records import Reading, Record


class Source(NamedTuple):
    """A kind of source: its help text, the function that reads it, and texts for the model card."""

    #: What the user names.
    help: str
    read: Callable[[Path, Reading], list[Record]]
    #: What one message is made from.
    messages_rule: str
    #: What a document is, and the order of documents.
    order: str


def _read_mails(path: Path, reading: Reading) -> list[Record]:
    from model.training.importers.mail import read_mails  # noqa: PLC0415 - imports lxml

    return read_mails(path, reading)


#: The sources by the option of ``make train`` that names them.
SOURCES: Mapping[str, Source] = {
    "data": Source(
        "a file of messages: .jsonl, .json, .csv or .parquet, or a folder of author/document.txt",
        read_data,
        "each record is a message, in its canonical form",
        "documents in the order of the file within each author; a message without a document is "
        "one of its own",
    ),
    "git": Source(
        "a git repository, for its commit messages",
        read_git,
        "each commit message without trailers, quotes and patches, in its canonical form",
        "documents are the months or days of an author's commits, the oldest first",
    ),
    "mbox": Source(
        "an mbox file, a Maildir, or a folder with mbox files",
        _read_mails,
        "the first plain text of each mail without quotes, forwarded mails and signatures, in its "
        "canonical form",
        "documents are threads, in the order of the mailbox within each author",
    ),
}


@dataclass(frozen=True, slots=True)
class Imported:
    """The messages of a source, with facts for the model card and notes for the user."""

    path: Path
    records: list[Record]
    #: Source and rules, for the model card.
    description: dict[str, Any]
    #: Sentences for the user, with a summary of what was kept and left out.
    notes: list[str]


def import_messages(kind: str, path: Path, progress: Progress) -> Imported:
    """Reads all messages of a source. ``kind`` is a key of ``SOURCES``.

    Raises:
        DataError: the source can't be used, or has no messages. The error's text says why.
    """
    source = SOURCES[kind]
    task = progress.add_task(f"reading {path.name or path}", total=1.0)
    reading = Reading(lambda share: progress.update(task, completed=share))
    try:
        records = source.read(path, reading)
    except OSError as error:
        raise DataError(f"{place(path)}: {error.strerror or error}: read it elsewhere") from error
    left_out = _listed(reading.left_out)
    summary = f"{len(records):,} messages are kept; left out: {left_out or 'none'}"
    if not records:
        raise DataError(f"{place(path)}: {summary}: name a source with other messages")
    progress.update(task, completed=1.0)
    description = {
        "source": path.name or str(path),
        "citation": None,
        "messages_rule": source.messages_rule,
        "order": f"{source.order}; copies of a text by one author are in the document of the first",
        "left_out": left_out or None,
    }
    return Imported(path, records, description, [*reading.notes, summary])


def _listed(left_out: Mapping[str, int]) -> str:
    """Returns one text with the number of left-out parts for each reason, the largest first."""
    reasons = sorted(left_out.items(), key=lambda item: -item[1])
    return ", ".join(f"{number:,} {reason}" for reason, number in reasons)
