"""Tests of the findings: training reports spellings, missing documents and copies of texts."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

from model.training.corpus import Corpus, load_file


def corpus(path: Path, rows: list[dict[str, str]]) -> Corpus:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return load_file(path)


def rows(author: str, *texts: str, **more: str) -> list[dict[str, str]]:
    return [{"text": text, "author": author, **more} for text in texts]


def test_names_that_became_one_author_are_told(tmp_path: Path) -> None:
    found = corpus(
        tmp_path / "a.jsonl",
        [
            *rows("Zo\u00eb", "a"),
            *rows("Zoe\u0308", "b"),
            *rows("Zo\u00eb ", "c"),
            *rows("y", *"def"),
        ],
    )
    assert found.authors == ("Zo\u00eb", "y")
    [note] = [note for note in found.notes if "one author" in note]
    assert note.startswith(r"'Zoe\u0308', 'Zo\xeb', 'Zo\xeb ' are one author, 'Zo" + "\u00eb'")
    assert found.description["authors_spelt_in_several_ways"] == 1


def test_copies_of_an_author_stay_in_one_fold_and_others_where_they_are(tmp_path: Path) -> None:
    x = [rows("x", f"own {d}", "copy", document=str(d)) for d in range(5)]
    y = [rows("y", f"his {d}", document=str(d)) for d in range(5)]
    found = corpus(tmp_path / "a.jsonl", [row for part in (*x, *y) for row in part])
    folds = defaultdict(list)
    for message in found.messages:
        folds[message.text].append(message.fold)
    assert folds["copy"] == [0] * 5
    assert [folds[f"own {d}"] for d in range(5)] == [[d] for d in range(5)]
    assert found.description["copies_put_together"] == 4
    assert any(note.startswith("copies: 4 messages") for note in found.notes)


def test_texts_that_are_equal_in_their_canonical_form_are_copies(tmp_path: Path) -> None:
    texts = ("caf\u00e9", "b", "c", " cafe\u0301\r\n")
    found = corpus(tmp_path / "a.jsonl", rows("x", *texts) + rows("y", *"def"))
    assert [(m.text, m.fold) for m in found.messages if m.author == "x"] == [
        ("caf\u00e9", 0), ("b", 1), ("c", 2), ("caf\u00e9", 0)
    ]  # fmt: skip


def test_texts_of_two_authors_are_told_and_stay(tmp_path: Path) -> None:
    found = corpus(tmp_path / "a.jsonl", rows("x", *"abc") + rows("y", *"cde"))
    assert len(found.messages) == 6
    assert found.description["texts_of_several_authors"] == 1
    assert any("texts of several authors: 1, such as one of 'x', 'y'" in n for n in found.notes)


def test_assumption_about_documents_is_told(tmp_path: Path) -> None:
    none = rows("x", *"abc") + rows("y", *"def")
    told = corpus(tmp_path / "a.jsonl", none).notes
    assert [note[:52] for note in told] == ["no message names a document: each is taken for a doc"]
    some = none + rows("y", "g", document="1")
    told = corpus(tmp_path / "b.jsonl", some).notes
    assert [note[:35] for note in told] == ["6 of 7 do not name a document: each"]
    every = [row | {"document": row["text"]} for row in none]
    assert corpus(tmp_path / "c.jsonl", every).notes == []
