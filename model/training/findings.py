"""Finds authors with several spellings, messages without a document, and copies of messages.

Notes for the user describe these findings.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from model.training.errors import quoted
from model.training.importers.records import Record

#: Largest number of authors that have a note of their own on their spellings.
EXAMPLES = 5


class Findings(NamedTuple):
    """Notes for the terminal, and figures for the model card."""

    notes: list[str]
    figures: dict[str, Any]


def put_copies_together(records: Sequence[Record]) -> tuple[list[Record], int]:
    """Puts records with the same text and author into one document, that of the first record.

    Returns all records in the order of ``records``, and the number of records that changed their
    document.
    """
    # Otherwise one copy could be held out while another copy trains the model.
    first: dict[tuple[str, str], str] = {}
    moved = [r._replace(document=first.setdefault((r.author, r.text), r.document)) for r in records]
    changes = sum(a.document != b.document for a, b in zip(records, moved, strict=True))
    return moved, changes


def findings(records: Sequence[Record], moved: int) -> Findings:
    """Returns notes and figures on the records of a file.

    ``moved`` is the number of copies that :func:`put_copies_together` moved.
    """
    spellings, shared = _spellings(records), _shared_texts(records)
    unnamed = sum(not record.has_document for record in records)
    notes = [
        *_spelling_notes(spellings),
        *_document_notes(unnamed, len(records)),
        *_copy_notes(moved),
        *_shared_notes(shared),
    ]
    figures = {
        "authors_spelt_in_several_ways": len(spellings),
        "messages_without_document": unnamed,
        "copies_put_together": moved,
        "texts_of_several_authors": len(shared),
    }
    return Findings(notes, figures)


def _spellings(records: Iterable[Record]) -> dict[str, list[str]]:
    """Returns, for each author with more than one spelling, the sorted spellings."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for record in records:
        found[record.author].add(record.spelling)
    return {author: sorted(names) for author, names in found.items() if len(names) > 1}


def _shared_texts(records: Iterable[Record]) -> list[list[str]]:
    """Returns, for each text with more than one author, the sorted authors."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for record in records:
        found[record.text].add(record.author)
    return [sorted(authors) for authors in found.values() if len(authors) > 1]


def _spelling_notes(spellings: dict[str, list[str]]) -> list[str]:
    """Returns notes on authors whose names have several spellings.

    Each of the first ``EXAMPLES`` authors has a note. One more note counts the other authors.
    """
    notes = [
        # The spellings are in ASCII, because different spellings may look the same in Unicode.
        f"{', '.join(map(ascii, names))} are one author, {author!r}: the names differ only in "
        "white space at the ends or in the form of Unicode"
        for author, names in list(spellings.items())[:EXAMPLES]
    ]
    if len(spellings) > EXAMPLES:
        notes.append(f"and so are the names of {len(spellings) - EXAMPLES} more authors")
    return notes


def _document_notes(unnamed: int, messages: int) -> list[str]:
    if not unnamed:
        return []
    who = "no message names" if unnamed == messages else f"{unnamed:,} of {messages:,} do not name"
    note = (
        f"{who} a document: each is taken for a document of its own. If several belong together, "
        "such as those of one conversation, name it in the field 'document'. Otherwise the model "
        "is tested on documents that it has seen, and its figures are too good"
    )
    return [note]


def _copy_notes(moved: int) -> list[str]:
    if not moved:
        return []
    note = (
        f"copies: {moved:,} messages have the text of an earlier message of their author, and "
        "become parts of its document"
    )
    return [note]


def _shared_notes(shared: list[list[str]]) -> list[str]:
    if not shared:
        return []
    note = (
        f"texts of several authors: {len(shared):,}, such as one of {quoted(shared[0])}. They "
        "stay in, but no model can tell whose they are"
    )
    return [note]
