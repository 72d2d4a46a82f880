"""Tests of the corpora: which commits become records, and which records a corpus has."""

from __future__ import annotations

from pathlib import Path

from bench.quality.corpora import MIN_TEXTS, Record, chosen, commits, few
from tests.unit.model.training.importers.repositories import Commit, repository


def test_commits_are_read_as_the_training_reads_them(tmp_path: Path) -> None:
    people = [Commit("The text of the first change", "Ada", 0), Commit("A change aside", "Bob", 31)]
    trailer = Commit("The text of the third change\n\nSigned-off-by: Ada <a@x>", "Ada", 31)
    assert list(commits(repository(tmp_path, [*people, trailer]))) == [
        Record("The text of the first change", "Ada", "= 1970-01"),
        Record("The text of the third change", "Ada", "= 1970-02"),
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
