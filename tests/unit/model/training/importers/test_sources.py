"""Tests of what an import shows: the progress, and a summary of what is kept and left out."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from rich.progress import Progress

from model.training.corpus import load_imported
from model.training.errors import DataError
from model.training.importers.sources import import_messages
from model.training.progress import make_progress
from tests.unit.model.training.importers.repositories import Commit, repository

LONG = "A message of enough characters"


def history(folder: Path, months: int = 3) -> Path:
    commits = [
        Commit(f"{LONG} {name} {month}", name, 18_000 + 31 * month)
        for month in range(months)
        for name in ("Ann", "Bob", "ci[bot]")
    ]
    return repository(folder, [*commits, Commit("wip", "Ann")])


def test_summary_has_what_is_kept_and_left_out_and_the_card_too(tmp_path: Path) -> None:
    imported = import_messages("git", history(tmp_path / "mine"), Progress(disable=True))
    reasons = "3 written by programs, 1 shorter than 20 characters"
    assert imported.notes == [f"6 messages are kept; left out: {reasons}"]
    description = load_imported(imported).description
    assert description["left_out"] == reasons
    assert description["source"] == "mine"
    assert description["authors"] == 2


def test_progress_is_shown_while_a_source_is_read(tmp_path: Path) -> None:
    log = StringIO()
    with make_progress(Console(file=log)) as progress:
        import_messages("git", history(tmp_path / "mine"), progress)
    lines = log.getvalue().splitlines()
    assert lines[0] == "reading mine: begins"
    assert lines[-1].startswith("reading mine: 100 %")


def test_source_whose_messages_are_all_left_out_is_refused(tmp_path: Path) -> None:
    folder = repository(tmp_path, [Commit("wip"), Commit("ok")])
    words = r": 0 messages are kept; left out: 2 shorter than 20 characters: name a source with"
    with pytest.raises(DataError, match=words):
        import_messages("git", folder, Progress(disable=True))


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("data", "text,author\na,x\nb,x\nc,x\n"),
        ("mbox", f"From x\nFrom: a@x\n\n{LONG} 1\n\nFrom x\nFrom: a@x\n\n{LONG} 2\n\n"),
    ],
)
def test_file_of_one_author_is_refused(tmp_path: Path, kind: str, content: str) -> None:
    (tmp_path / "a.csv").write_text(content)
    imported = import_messages(kind, tmp_path / "a.csv", Progress(disable=True))
    with pytest.raises(
        DataError, match=r"a\.csv: one author only: at least two authors are needed"
    ):
        load_imported(imported)


def test_repository_of_one_author_or_of_few_days_is_refused(tmp_path: Path) -> None:
    alone = repository(tmp_path / "alone", [Commit(f"{LONG} {n}", day=n * 31) for n in range(5)])
    with pytest.raises(DataError, match="alone: one author only: at least two authors are needed"):
        load_imported(import_messages("git", alone, Progress(disable=True)))
    few = history(tmp_path / "few", months=2)
    with pytest.raises(DataError, match="few: too few messages per author"):
        load_imported(import_messages("git", few, Progress(disable=True)))
