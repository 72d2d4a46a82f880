"""The command ``make inspect``: it shows the messages, and what a training would do with them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from model import inspection
from tests.unit.model.training.importers.repositories import Commit, repository


def messages(path: Path) -> Path:
    rows = [
        {"text": f"{author} writes the text of number {n}", "author": author, "document": n}
        for n in range(5)
        for author in ("Ann [x]", "Bob")
    ]
    copy = rows[0] | {"document": 4}
    rare = {"text": rows[0]["text"], "author": "Cy", "document": 0}
    path.write_text("".join(json.dumps(row) + "\n" for row in (*rows, copy, rare)))
    return path


def inspect(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    status = inspection.main([str(argument) for argument in arguments])
    said = capsys.readouterr()
    return status, " ".join(said.out.split()), said.err


def test_authors_lengths_copies_and_the_plan_of_the_training_are_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    path = messages(tmp_path / "mine.jsonl")
    status, out, err = inspect(capsys, "--data", path)
    assert (status, err) == (0, "")
    assert "12 messages are kept; left out: none" in out
    assert "│ Ann [x] │ 5 │ 6 │ 35 │ 35 │" in out
    assert "│ Bob │ 5 │ 5 │ 31 │ 31 │" in out
    assert "characters of a message: shortest 31, 5 % 31, median 35, 95 % 35, longest 35" in out
    assert "copies: 1 messages have the text of an earlier message of their author" in out
    assert "texts of several authors: 1, such as one of 'Ann [x]', 'Cy'" in out
    assert "the model ngram to 2 authors: 9 messages to learn from, 2 of them to tune on" in out
    assert "left out for too few documents: 'Cy'" in out
    assert (
        "it assumes: each record is a message, in its canonical form; documents in the ord" in out
    )
    assert [one.name for one in tmp_path.iterdir()] == ["mine.jsonl"]


def test_control_characters_of_a_name_do_not_reach_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    commits = [
        Commit(f"A message of day {day} by someone", name, day * 31)
        for day in range(3)
        for name in ("Ann", "Bob \x1b[2J")
    ]
    status, out, _ = inspect(capsys, "--git", repository(tmp_path, commits))
    assert status == 0
    assert "\x1b" not in out
    assert "│ Bob \\x1b[2J │ 3 │ 3 │" in out


def test_table_is_short_if_there_are_many_authors(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [f"author {n}" for n in range(inspection.MAX_AUTHORS + 5)]
    commits = [
        Commit(f"{name} writes about the matter of day {day}", name, day * 31)
        for day in range(3)
        for name in names
    ]
    status, out, _ = inspect(capsys, "--git", repository(tmp_path, commits))
    assert status == 0
    assert out.count("│ author ") == inspection.MAX_AUTHORS
    assert "│ 5 more │ │ 15 │" in out


def test_messages_that_can_not_be_trained_on_are_shown_and_the_error_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("text;author\nhello;Ann\n")
    status, out, err = inspect(capsys, "--data", path)
    assert status == 2
    assert "CSV in UTF-8: the delimiter is ';'" in out
    assert "│ Ann │ 1 │ 1 │ 5 │ 5 │" in out
    assert err.endswith(
        "mine.csv: one author only: at least two authors are needed: add messages of another\n"
    )
    assert err.startswith("inspect: ")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [((), "one of the arguments --data --git --mbox is required"),
     (("--data", "a", "--git", "b"), "argument --git: not allowed with argument --data"),
     (("--git", ""), "argument --git: the name is empty: name a file or a folder")],
)  # fmt: skip
def test_exactly_one_source_is_needed(
    arguments: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        inspection.main(arguments)
    assert ended.value.code == 2
    assert words in capsys.readouterr().err
