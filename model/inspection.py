"""Shows labelled messages and what a training would do with them: ``make inspect``."""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from importlib import import_module

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from model.training.corpus import Corpus, load_imported
from model.training.errors import printable, quoted
from model.training.importers.records import Record
from model.training.importers.sources import Imported
from model.training.preparation import (
    MODELS,
    add_source_options,
    checked,
    print_notes,
    read,
    source_of,
    status,
)

#: The table has a row for each of this many authors, those with the most messages.
MAX_AUTHORS = 20
#: Percentiles of the lengths of messages that are shown.
PERCENTILES = {"shortest": 0, "5 %": 5, "median": 50, "95 %": 95, "longest": 100}


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints figures on the messages that the command line names, and the plan of a training.

    Writes no file. Returns the exit status: 0, or 2 if a training on these messages is impossible.
    """
    options = _options(arguments)
    return status("inspect", lambda: _inspect(options, Console()))


def _inspect(options: argparse.Namespace, console: Console) -> None:
    source = source_of(options)
    assert source is not None, "the parser requires a source"
    imported = read(*source, console)
    console.print(_authors(imported.records))
    print_notes([_lengths(imported.records)], console)
    corpus = load_imported(imported)
    trainer = import_module(f"model.{options.model}.training")
    corpus = checked(corpus, trainer, console)
    print_notes(list(_plan(corpus, imported, options.model)), console)


def _authors(records: Sequence[Record]) -> Table:
    """Returns a table with each author's numbers of documents and messages, and message lengths."""
    messages: defaultdict[str, list[Record]] = defaultdict(list)
    for record in records:
        messages[record.author].append(record)
    table = Table("author", "documents", "messages", "characters, median", "longest")
    ordered = sorted(messages.items(), key=lambda item: -len(item[1]))
    for author, own in ordered[:MAX_AUTHORS]:
        lengths = [len(record.text) for record in own]
        documents = len({record.document for record in own})
        figures = (documents, len(own), int(np.median(lengths)), max(lengths))
        table.add_row(Text(printable(author)), *(f"{figure:,}" for figure in figures))
    if rest := ordered[MAX_AUTHORS:]:
        table.add_row(f"{len(rest):,} more", "", f"{sum(len(own) for _, own in rest):,}")
    return table


def _lengths(records: Sequence[Record]) -> str:
    lengths = [len(record.text) for record in records]
    found = np.percentile(lengths, list(PERCENTILES.values()))
    figures = ", ".join(f"{name} {int(n):,}" for name, n in zip(PERCENTILES, found, strict=True))
    return f"characters of a message: {figures}"


def _plan(corpus: Corpus, imported: Imported, model: str) -> Iterator[str]:
    """Yields sentences about what the training will do."""
    facts = corpus.description
    yield (
        f"make train will fit the model {model} to {len(corpus.authors):,} authors: "
        f"{facts['training_messages']:,} messages to learn from, "
        f"{facts['of_which_tuning_messages']:,} of them to tune on, and "
        f"{facts['held_out_messages']:,} held out to measure the model"
    )
    left_out = sorted({record.author for record in imported.records} - set(corpus.authors))
    if left_out:
        yield f"left out for too few documents: {quoted(left_out)}"
    yield f"it assumes: {facts['messages_rule']}; {facts['order']}; {facts['split_rule']}"


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m model.inspection", description=__doc__)
    add_source_options(parser, required=True)
    parser.add_argument("--model", choices=MODELS, default="ngram")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
