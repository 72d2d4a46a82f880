"""Tests of the corpora: which commits become records, and which records a corpus has."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from bench.quality.corpora import MIN_TEXTS, Record, chosen, commits, few


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A git repository with a commit of each of two authors, and a merge."""

    def git(*arguments: str, name: str = "Ada", date: str = "2026-01-31T12:00:00Z") -> None:
        people = {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER") for what, value in
                  (("NAME", name), ("EMAIL", "x@example.org"), ("DATE", date))}  # fmt: skip
        subprocess.run(
            ["git", "-C", str(tmp_path), *arguments], check=True, env=people, capture_output=True
        )

    git("init", "--initial-branch=main")
    git("commit", "--allow-empty", "-m", "The first change\n\nSigned-off-by: Ada <x@example.org>")
    git("checkout", "-b", "side")
    git("commit", "--allow-empty", "-m", "A change aside", name="Bob", date="2026-02-01T12:00:00Z")
    git("checkout", "main")
    git("merge", "--no-ff", "-m", "Merge the side", "side")
    return tmp_path


def test_commits_have_their_author_and_month_and_no_trailers_and_merges_are_left_out(
    repository: Path,
) -> None:
    records = [record._replace(text=record.text.strip()) for record in commits(repository)]
    assert records == [
        Record("The first change", "Ada", "2026-01"),
        Record("A change aside", "Bob", "2026-02"),
    ]


def test_authors_with_few_texts_and_texts_that_repeat_are_left_out() -> None:
    often = [Record(f"a text of enough characters, {n}", "often", "d") for n in range(MIN_TEXTS)]
    rare = [Record("a text of enough characters", "rare", "d")]
    short = [Record("too short", "often", "d")]
    assert chosen([*often, *often, *rare, *short]) == often


def test_an_author_with_too_many_texts_keeps_texts_of_all_documents() -> None:
    many = [Record(f"a text of enough characters, {n}", "a", str(n // 10)) for n in range(40)]
    kept = chosen(many, most=20)
    assert len(kept) == 20
    assert {record.document for record in kept} == {"0", "1", "2", "3"}


def test_a_small_corpus_has_the_first_texts_of_some_authors() -> None:
    records = [Record(f"text {n}", author, "d") for author in "abcdef" for n in range(5)]
    kept = few(records, authors=3, texts=2)
    assert [(record.author, record.text) for record in kept] == [
        (author, text) for author in "ace" for text in ("text 0", "text 1")
    ]
