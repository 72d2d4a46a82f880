"""Trains a model from labelled messages and writes its weights and its card: ``make train``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from model.card import worth
from model.training.corpus import MIN_DOCUMENTS, Corpus, load_file, load_sotu
from model.training.datafile import DataError
from model.types import ModelCard

#: The models that can be trained. Each is a package of this name with a module ``training``.
MODELS = ("ngram", "transformer")
#: Folder of the models that come with Byline, trained on the presidents' messages.
SHIPPED = Path(__file__).parent / "weights"
#: Folder of the models that are trained on a user's own messages.
OWN = Path(".byline/models")


def main(arguments: Sequence[str] | None = None) -> int:
    """Trains the model that the command line asks for.

    Returns the exit status: 0, or 2 if the training is impossible.
    """
    options = _options(arguments)
    out = options.out or (OWN if options.data else SHIPPED) / options.model
    console = Console()
    try:
        # Imported late: the transformer's module imports an extra that may not be installed.
        trainer = import_module(f"model.{options.model}.training")
        corpus = load_file(options.data) if options.data else load_sotu()
        _print_left_out(corpus, console)
        with _progress(console) as progress:
            trained = trainer.train(corpus, out, options.seed, options.baseline, progress)
    except (DataError, ImportError, OSError) as error:
        sys.stderr.write(f"train: {error}\n")
        return 2
    console.print(_comparison(trained))
    console.print(worth(trained))
    console.print(f"{trained.version}, written to {out}")
    return 0


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description:<36}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        console=console,
    )


def _print_left_out(corpus: Corpus, console: Console) -> None:
    if left_out := corpus.description["authors_left_out"]:
        console.print(
            f"{left_out} of {left_out + len(corpus.authors)} authors are left out: they have "
            f"fewer than {MIN_DOCUMENTS} documents"
        )


def _comparison(trained: ModelCard) -> Table:
    """Returns a table for the terminal: the model's metrics beside those of the baseline."""
    ours, other = trained.details["metrics"], trained.details["baseline"]
    table = Table("held-out messages", "Byline", other.get("name", "baseline: not run"))
    for name, value in ours.items():
        table.add_row(name.replace("_", " "), str(value), str(other.get(name, "")))
    return table


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m model.train", description=__doc__)
    parser.add_argument("--model", choices=MODELS, default="ngram")
    parser.add_argument("--data", type=Path, help="your own messages, .jsonl or .csv")
    parser.add_argument(
        "--out",
        type=Path,
        help=f"folder to write to; {OWN}/MODEL with --data, otherwise the shipped model's folder",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-baseline", dest="baseline", action="store_false")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
