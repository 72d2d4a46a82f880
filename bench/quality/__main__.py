"""Compares Byline's model with a tuned support vector machine on several kinds of corpora.

``python -m bench.quality --git REPOSITORY`` makes the corpora, trains both models on each corpus,
and prints a table. The program takes some minutes for each corpus.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from bench.quality import corpora, svm
from model import card
from model.training.corpus import Corpus, load_file, load_sotu
from model.training.near_duplicates import without_near_duplicates

#: The kinds of corpora. The texts of the US presidents come with a package, and need no file.
KINDS = ("presidents", "functions", "docstrings", "changes", "commits", "few")
#: Number of authors and of texts of each author in the corpus "few".
FEW_AUTHORS, FEW_TEXTS = 12, 15


class Usage(NamedTuple):
    """The CPU time and the peak memory of a training."""

    cpu_s: float
    peak_mb: float


def main() -> int:
    """Measures the corpora that the command line names, and prints a table."""
    options = _options()
    options.out.mkdir(parents=True, exist_ok=True)
    table = Table("corpus", "authors", "messages", "Byline", "tuned SVM", "baseline", "CPU s", "MB")
    for kind in options.kinds:
        if kind == "commits" and options.git is None:
            sys.stderr.write("commits are left out: name a repository with --git\n")
            continue
        table.add_row(kind, *_row(kind, options))
        Console().print(table)
    return 0


def _row(kind: str, options: argparse.Namespace) -> Sequence[str]:
    """Trains and measures a model on one kind of corpus. Returns the cells of the table's row."""
    data, folder = options.out / f"{kind}.jsonl", options.out / kind
    if kind == "presidents":
        arguments, corpus = [], load_sotu()
    else:
        write(kind, data, options.git)
        arguments, corpus = ["--data", str(data)], load_file(data)
    usage = train([*arguments, "--out", str(folder), *options.train])
    details = card.read(folder).details
    ours, baseline = details["metrics"], details["baseline"]
    return (
        str(len(corpus.authors)),
        str(len(corpus.messages)),
        f"{ours['accuracy']:.3f} / {ours['macro_f1']:.3f} / {ours['calibration_error']:.3f}",
        _reference(corpus) if options.reference else "",
        f"{baseline['accuracy']:.3f} / {baseline['macro_f1']:.3f}" if baseline else "",
        f"{usage.cpu_s:.0f}",
        f"{usage.peak_mb:.0f}",
    )


def _reference(corpus: Corpus) -> str:
    found = svm.measure(without_near_duplicates(corpus))
    return f"{found.accuracy:.3f} / {found.macro_f1:.3f} / {found.calibration_error:.3f}"


def write(kind: str, data: Path, git: Path | None) -> None:
    """Writes a corpus of the kind ``kind`` to the file ``data``, one JSON object on each line.

    ``git`` is the repository for the kind ``commits``.
    """
    if kind == "commits" and git is not None:
        records = corpora.chosen(corpora.commits(git), most=None)
    elif kind == "functions":
        records = corpora.chosen(corpora.functions())
    elif kind == "docstrings":
        records = corpora.chosen(corpora.docstrings())
    else:
        records = corpora.chosen(corpora.changes(), corpora.PACKAGES)
        if kind == "few":
            records = corpora.few(records, FEW_AUTHORS, FEW_TEXTS)
    rows = (json.dumps(record._asdict()) + "\n" for record in records)
    data.write_text("".join(rows), encoding="utf-8")


def train(arguments: Sequence[str]) -> Usage:
    """Runs ``python -m model.train`` in a process of its own. Returns its CPU time and memory.

    Raises:
        SystemExit: the training failed.
    """
    command = [sys.executable, "-m", "model.train", *arguments]
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return Usage(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.quality", description=__doc__)
    parser.add_argument("--kinds", nargs="+", default=KINDS, choices=KINDS)
    parser.add_argument("--git", type=Path, help="a git repository, for the corpus commits")
    parser.add_argument("--out", type=Path, default=Path(".byline/quality"))
    parser.add_argument("--no-reference", dest="reference", action="store_false")
    parser.add_argument("--train", nargs="*", default=[], help="more options of model.train")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
