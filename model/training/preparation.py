"""The steps that ``make train`` and ``make inspect`` share: reading messages, checking a corpus."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from rich.console import Console

from model.training.corpus import Corpus
from model.training.errors import DataError, printable
from model.training.importers.sources import SOURCES, Imported, import_messages
from model.training.progress import make_progress

#: The models that can be trained. Each has a package of this name, with a module ``training``. The
#: module has a function ``train``. It can also have a function ``check``, which gets the corpus and
#: raises DataError if the training is impossible, for example because it needs too much memory.
MODELS = ("ngram", "transformer")


def add_source_options(parser: argparse.ArgumentParser, required: bool) -> None:
    """Adds an option for each source of messages. A user can give at most one of these options.

    If ``required``, the user must give one.
    """
    group = parser.add_mutually_exclusive_group(required=required)
    for name, source in SOURCES.items():
        group.add_argument(f"--{name}", type=_path, help=source.help)


def _path(name: str) -> Path:
    if not name:  # otherwise the current folder
        raise argparse.ArgumentTypeError("the name is empty: name a file or a folder")
    return Path(name)


def source_of(options: argparse.Namespace) -> tuple[str, Path] | None:
    """Returns the name and the path of the source that the command line names, or None."""
    return next(((name, path) for name in SOURCES if (path := getattr(options, name))), None)


def read(name: str, path: Path, console: Console) -> Imported:
    """Reads a source. Prints the progress, and how many messages are kept and left out.

    Raises:
        DataError: the source can't be used.
    """
    with make_progress(console) as progress:
        imported = import_messages(name, path, progress)
    print_notes(imported.notes, console)
    return imported


def print_notes(notes: list[str], console: Console) -> None:
    """Prints sentences, each on a line of its own. Control characters, as in names, are escaped."""
    for note in notes:
        console.print(printable(note), soft_wrap=True, highlight=False, markup=False)


def checked(corpus: Corpus, trainer: ModuleType, console: Console) -> Corpus:
    """Leaves out held-out messages that nearly equal a training message. Returns the new corpus.

    Also prints the corpus's notes for the user. ``trainer`` is the module that trains the model.

    Raises:
        DataError: the function ``check`` of ``trainer`` refuses the corpus.
    """
    from model.training.near_duplicates import without_near_duplicates  # noqa: PLC0415 - scipy

    if check := getattr(trainer, "check", None):
        check(corpus)
    corpus = without_near_duplicates(corpus)
    print_notes(corpus.notes, console)
    return corpus


def status(command: str, work: Callable[[], None]) -> int:
    """Calls ``work``. Returns the exit status: 0, or 2 if the work is impossible.

    If the work is impossible, one line on standard error names the command and the reason.
    """
    try:
        work()
    except MemoryError as error:
        return _fail(command, f"not enough memory: train on fewer messages or authors: {error}")
    except (DataError, ImportError, OSError) as error:
        return _fail(command, str(error))
    except RuntimeError as error:  # torch has no error of its own for the CPU's memory
        if "allocate memory" not in str(error):
            raise
        return _fail(command, f"not enough memory: train on fewer messages or authors: {error}")
    return 0


def _fail(command: str, error: str) -> int:
    sys.stderr.write(f"{command}: {' '.join(error.split())}\n")
    return 2
