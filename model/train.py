"""Trains a model from labelled messages and writes its weights and its card: ``make train``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import ModuleType

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from model import card
from model.training.corpus import Corpus, load_imported, load_sotu
from model.training.openmp import let_idle_threads_sleep
from model.training.preparation import (
    MODELS,
    add_source_options,
    checked,
    print_notes,
    read,
    source_of,
    status,
)
from model.training.progress import make_progress
from model.training.staging import check_folder, put_in_place, staging_folder
from model.types import ModelCard

#: Folder of the models that come with Byline, trained on the presidents' messages.
SHIPPED = Path(__file__).parent / "weights"
#: Folder of the models that are trained on a user's own messages.
OWN = Path(".byline/models")
#: Largest seed that all libraries accept.
MAX_SEED = 2**32 - 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Trains the model that the command line asks for.

    Returns the exit status: 0, or 2 if the training is impossible.
    """
    options = _options(arguments)
    return status("train", lambda: _read_and_run(options, Console()))


def _read_and_run(options: argparse.Namespace, console: Console) -> None:
    source = source_of(options)
    out = options.out or (OWN if source else SHIPPED) / options.model
    check_folder(out)
    # Read before torch is imported, which takes seconds. So an error in the file shows at once.
    corpus = load_imported(read(*source, console)) if source else load_sotu()
    _run(options, corpus, out, console)


def _run(options: argparse.Namespace, corpus: Corpus, out: Path, console: Console) -> None:
    """Trains a model and writes it into ``out``. Measures the baseline if ``options`` say so."""
    # Imported late, because the module imports the packages of an extra, which can be missing.
    trainer = import_module(f"model.{options.model}.training")
    corpus = checked(corpus, trainer, console)
    with make_progress(console) as progress:
        trained = _train(trainer, corpus, out, options, progress)
        if options.baseline:
            try:
                trained = _compared(trained, corpus, out, progress)
            except (MemoryError, ValueError) as error:  # the new model is in place all the same
                print_notes([f"the baseline was not measured: {error}"], console)
    console.print(_comparison(trained))
    print_notes([card.worth(trained), f"{trained.version}, written to {out}"], console)


def _train(
    trainer: ModuleType,
    corpus: Corpus,
    out: Path,
    options: argparse.Namespace,
    progress: Progress,
) -> ModelCard:
    """Trains a model into a folder beside ``out``, checks the model, and moves it into ``out``.

    The check runs the model on the held-out messages, and compares the results with the new card.
    """
    from model.training.served import check_served  # noqa: PLC0415 - torch

    with staging_folder(out) as staged:
        trained: ModelCard = trainer.train(corpus, staged, options.seed, progress)
        task = progress.add_task("serving the held-out messages", total=1)
        check_served(options.model, staged, corpus, trained)
        progress.update(task, completed=1)
        put_in_place(staged, out)
    return trained


def _compared(trained: ModelCard, corpus: Corpus, out: Path, progress: Progress) -> ModelCard:
    """Measures the baseline, adds its metrics to the card in ``out``, and returns the new card."""
    from model.training import baseline  # noqa: PLC0415 - scikit-learn

    task = progress.add_task("baseline, linear SVM", total=1)
    measured = baseline.measure(corpus)
    progress.update(task, completed=1)
    details = trained.details | {"baseline": {"name": baseline.NAME, **measured}}
    compared = replace(trained, details=details)
    with staging_folder(out) as staged:
        card.write(compared, staged)
        put_in_place(staged, out)
    return compared


def _comparison(trained: ModelCard) -> Table:
    """Returns a table for the terminal, with the metrics of the model and of the baseline."""
    ours, other = trained.details["metrics"], trained.details["baseline"]
    table = Table("held-out messages", "Byline", other.get("name", "baseline: not run"))
    for name, value in ours.items():
        table.add_row(name.replace("_", " "), str(value), str(other.get(name, "")))
    return table


def _seed(value: str) -> int:
    seed = int(value)
    if not 0 <= seed <= MAX_SEED:
        raise argparse.ArgumentTypeError(f"{value} is not between 0 and {MAX_SEED}")
    return seed


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m model.train", description=__doc__)
    parser.add_argument("--model", choices=MODELS, default="ngram")
    add_source_options(parser, required=False)
    parser.add_argument(
        "--out",
        type=Path,
        help=f"folder to write to; {OWN}/MODEL for your own messages, otherwise the shipped "
        "model's folder",
    )
    parser.add_argument("--seed", type=_seed, default=0)
    parser.add_argument("--no-baseline", dest="baseline", action="store_false")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    let_idle_threads_sleep()
    sys.exit(main())
