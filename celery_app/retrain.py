"""Trains a new model version on the old data and the kept feedback: ``make retrain``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from redis import RedisError
from rich.console import Console

from celery_app.connections import connect, in_words
from celery_app.settings import Settings, SettingsError
from model.retraining.old_version import read_old_version
from model.train import OWN, SHIPPED
from model.training.corpus import load_imported, load_sotu
from model.training.errors import DataError
from model.training.openmp import let_idle_threads_sleep
from model.training.preparation import (
    MODELS,
    add_source_options,
    print_notes,
    read,
    source_of,
    status,
)
from model.types import ModelError
from tasks.feedback.kept_texts import Kept, KeptTexts


def main(arguments: Sequence[str]) -> int:
    """Runs the command. Returns the exit status: 0, or 2 if the training is impossible."""
    options = _options(arguments)
    return status("retrain", lambda: _run_or_refuse(options, Console()))


def _run_or_refuse(options: argparse.Namespace, console: Console) -> None:
    try:
        _run(options, Settings.from_environ(os.environ), console)
    except RedisError as error:
        raise DataError(in_words(error)) from error
    except (ModelError, SettingsError) as error:
        raise DataError(str(error)) from error


def _run(options: argparse.Namespace, settings: Settings, console: Console) -> None:
    source = source_of(options)
    default = (OWN if source else SHIPPED) / options.model
    old = read_old_version(options.model, options.old or settings.model_dir or default)
    kept = _kept(settings, console)
    corpus = load_imported(read(*source, console)) if source else load_sotu()
    # A new version of the model that comes with Byline is the user's own.
    parent = OWN if old.folder.resolve().parent == SHIPPED.resolve() else old.folder.parent
    labelled = [(text.text, text.author) for text in kept.texts]
    # Imported late, because torch takes seconds. So an error above shows at once.
    from model.retraining.retrain import retrain  # noqa: PLC0415

    out = retrain(old, corpus, labelled, parent, console)
    print_notes([f"{out.name}, written to {out}"], console)


def _kept(settings: Settings, console: Console) -> Kept:
    """Reads the kept texts, and tells the user how many of them can't be read.

    Raises:
        DataError: no text is kept.
    """
    kept = KeptTexts(connect(settings.cache)).all()
    if kept.unreadable:
        console.print(f"kept texts that can't be read, left out: {kept.unreadable:,}")
    if not kept.texts:
        raise DataError(
            "no text with feedback is kept: start api and workers with BYLINE_KEEP_FEEDBACK=30, "
            "and send feedback"
        )
    return kept


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m celery_app.retrain", description=__doc__)
    parser.add_argument("--model", choices=MODELS, default="ngram")
    add_source_options(parser, required=False)
    parser.add_argument(
        "--old", type=Path, help="folder of the old version; BYLINE_MODEL_DIR, else the default one"
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    let_idle_threads_sleep()
    sys.exit(main(sys.argv[1:]))
