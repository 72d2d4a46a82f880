"""Trains a new version beside the old one, compares both, and writes the new version's folder."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from rich.console import Console

from model.retraining.comparison import Comparison, compare, conclusion, table
from model.retraining.merged_corpus import Merged, with_feedback
from model.retraining.old_version import OldVersion
from model.training.corpus import Corpus, Message
from model.training.errors import DataError, place
from model.training.preparation import checked, print_notes
from model.training.progress import make_progress
from model.training.served import check_served, predictions
from model.training.staging import check_folder, put_in_place, staging_folder
from model.types import ModelCard, ModelError

#: Seed of the training: the default of ``make train``.
SEED = 0


class _Trained(NamedTuple):
    """The new version's card, and its comparisons with the old version on held-out messages."""

    card: ModelCard
    comparisons: list[Comparison]


def retrain(
    old: OldVersion,
    corpus: Corpus,
    labelled: Sequence[tuple[str, str]],
    parent: Path,
    console: Console,
) -> Path:
    """Trains a version on ``corpus`` and on ``labelled``, pairs of a text and its true author.

    Prints a table that compares the new version with the old version on held-out messages. Writes
    the new version into a folder in ``parent``, and returns this folder. The folder has the name of
    the version. Other folders stay as they are.

    Raises:
        DataError: the data or the old version can't be used, or the new version exists already.
        ModelError: the new version can't be served.
    """
    check_folder(parent / "new")
    _check_serves(old)
    # Imported late, because the module imports the packages of an extra, which can be missing.
    trainer = import_module(f"model.{old.model}.training")
    merged = _merged(corpus, labelled)
    merged = merged._replace(corpus=checked(merged.corpus, trainer, console))
    print_notes(old.notes_on(corpus), console)
    with staging_folder(parent / "new") as staged:
        trained = _train(trainer, old, merged, staged, console)
        version = trained.card.version
        out = _new_folder(parent, old.card.version, version)
        put_in_place(staged, out)
    console.print(table(old.card.version, version, trained.comparisons))
    console.print(conclusion(version, trained.comparisons), soft_wrap=True, highlight=False)
    return out


def _check_serves(old: OldVersion) -> None:
    """Checks that the old version can answer messages, so that no training is in vain.

    Raises:
        DataError: the old version can't be served, for example because ``old.model`` names another
            kind of model.
    """
    try:
        predictions(old.model, old.folder, [])
    except ModelError as error:
        raise DataError(
            f"{place(old.folder)}: no version of the model {old.model} can be served from here: "
            f"{error}: name the kind of the old version with MODEL=, or its folder with OLD="
        ) from error


def _merged(corpus: Corpus, labelled: Sequence[tuple[str, str]]) -> Merged:
    """Returns the old data and the feedback as one corpus.

    Raises:
        DataError: the feedback adds no message.
    """
    merged = with_feedback(corpus, labelled)
    if not merged.feedback:
        raise DataError(
            "the kept feedback adds nothing: the data has all of its texts, or its authors have "
            "too few: collect more feedback"
        )
    return merged


def _train(
    trainer: ModuleType, old: OldVersion, merged: Merged, staged: Path, console: Console
) -> _Trained:
    """Trains the new version into ``staged``, checks it, and compares it with the old version."""
    with make_progress(console) as progress:
        trained: ModelCard = trainer.train(merged.corpus, staged, SEED, progress)
        task = progress.add_task("serving the held-out messages", total=1)
        check_served(old.model, staged, merged.corpus, trained)
        comparisons = compare_versions(old, staged, merged)
        progress.update(task, completed=1)
    return _Trained(trained, comparisons)


def compare_versions(old: OldVersion, new: Path, merged: Merged) -> list[Comparison]:
    """Compares the old version with the version in the folder ``new``.

    Both versions run as in a worker on the CPU. Returns two comparisons: one on the held-out
    messages of the old data, and one on the held-out messages with feedback.
    """
    parts = zip(("old data", "feedback"), merged.held_out(), strict=True)
    return [
        compare(
            name,
            [message.author for message in messages],
            _guesses(old.model, old.folder, messages),
            _guesses(old.model, new, messages),
        )
        for name, messages in parts
    ]


def _guesses(model: str, folder: Path, messages: Sequence[Message]) -> list[str]:
    found = predictions(model, folder, [message.text for message in messages])
    return [prediction.candidates[0].author for prediction in found]


def _new_folder(parent: Path, old: str, new: str) -> Path:
    """Returns the folder for the version ``new``. ``old`` is the name of the old version.

    Raises:
        DataError: both versions have the same name, or the folder exists already.
    """
    if new == old:
        raise DataError(f"the new version equals the old one, {old}: collect more feedback")
    if (parent / new).exists():
        raise DataError(
            f"{place(parent / new)}: this version exists already: the same data and feedback give "
            "the same version: collect more feedback, or delete the folder"
        )
    return parent / new
