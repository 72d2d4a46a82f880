"""The records that importers (readers of labelled messages) return, and reports on the reading."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from model.canonical import InvalidText, parse_author, parse_text

#: Largest number of characters of a text.
MAX_CHARACTERS = 2**20
#: Smallest number of characters of a commit message or a mail. Shorter texts, such as "fix" or
#: "ok", tell nothing about their author.
MIN_CHARACTERS = 20

#: Smallest number of documents of an author. With fewer documents, none could be held out.
MIN_DOCUMENTS = 3

parsed_author = lru_cache(10_000)(parse_author)


class Record(NamedTuple):
    """A labelled message: its text and its author in the canonical form, and its document.

    Messages of one document belong together, such as the mails of a thread.
    """

    text: str
    author: str
    #: Name of the document, which differs from the names of the author's other documents.
    document: str
    #: The author's name, as the source spells it.
    spelling: str = ""
    #: Whether the source names the document. If not, the record is a document of its own.
    has_document: bool = True


def _ignore(share: float) -> None:
    del share


@dataclass(slots=True)
class Reading:
    """The report of an importer while it reads a source: progress, left-out parts, and notes."""

    #: Gets the share of the source that has been read, from 0 to 1.
    progress: Callable[[float], object] = _ignore
    #: Number of parts of the source that are left out, by the reason.
    left_out: Counter[str] = field(default_factory=Counter)
    #: Sentences about the source for the user.
    notes: list[str] = field(default_factory=list)

    def part(self, number: int, parts: int) -> Reading:
        """Returns the report on the part ``number`` of the source, counted from 0.

        All parts have the same share of the progress. The notes on a part, and what it leaves out,
        also become parts of this report.
        """
        report = self.progress
        return Reading(lambda share: report((number + share) / parts), self.left_out, self.notes)


class LeftOut(Exception):
    """A part of a source can't be used as a message to train on. The error's text is the reason."""


@contextmanager
def counting(reading: Reading) -> Iterator[None]:
    """Counts a part of the source as left out if the ``with`` block raises :class:`LeftOut`."""
    try:
        yield
    except LeftOut as reason:
        reading.left_out[str(reason)] += 1


def make_record(text: str, author: str, document: str) -> Record:
    """Checks a text and its author's name, and returns their record.

    Raises:
        LeftOut: the text is too short or too long, or the text or the name is invalid.
    """
    if len(text.strip()) < MIN_CHARACTERS:
        raise LeftOut(f"shorter than {MIN_CHARACTERS} characters")
    if len(text) > MAX_CHARACTERS:
        raise LeftOut(f"longer than {MAX_CHARACTERS:,} characters")
    try:
        return Record(
            parse_text(text, MAX_CHARACTERS), parsed_author(author), f"= {document}", author
        )
    except InvalidText as error:
        raise LeftOut("the text or the name is invalid") from error
