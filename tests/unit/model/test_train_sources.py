"""The command ``make train`` on each source: a model is trained, or the old model stays."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from model import train
from model.card import read
from tests.parts import ROOT
from tests.unit.model.training.importers.repositories import Commit, repository

WORDS = {
    "Ann": "perhaps the garden was quiet and green before anyone had woken",
    "Bob": "SHIP IT NOW! deadline budget quarter boss meeting, again? invoice",
}
#: Most CPU seconds until a bad source is refused, with the start of Python.
REFUSED_S = 2


def texts() -> list[tuple[str, str, int]]:
    """Returns texts, their authors, and their months."""
    chance = random.Random(0)
    return [
        (" ".join(chance.choices(words.split(), k=9)), author, n // 3)
        for n in range(30)
        for author, words in WORDS.items()
    ]


def git_history(folder: Path) -> Path:
    commits = [Commit(text, author, 31 * month) for text, author, month in texts()]
    return repository(folder, commits)


def mbox(path: Path) -> Path:
    mails = "".join(
        f"From x\nFrom: {author}@x.org\nMessage-ID: <{n}@x>\nReferences: <{month}@y>\n\n{text}\n\n"
        for n, (text, author, month) in enumerate(texts())
    )
    path.write_text(mails)
    return path


def spreadsheet(path: Path) -> Path:
    rows = [f'"{text}";{author};{month}' for text, author, month in texts()]
    path.write_text("\r\n".join(["sep=;", "text;author;document", *rows]), "utf-16")
    return path


@pytest.mark.parametrize(
    ("option", "make", "authors", "documents"),
    [
        ("--git", git_history, ("Ann", "Bob"), 20),
        ("--mbox", mbox, ("ann@x.org", "bob@x.org"), 20),
        ("--data", spreadsheet, ("Ann", "Bob"), 20),
    ],
)
def test_model_is_trained_on_each_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    option: str, make: Any, authors: tuple[str, str], documents: int,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert train.main([option, str(make(tmp_path / "mine.csv")), "--no-baseline"]) == 0
    said = capsys.readouterr().out
    assert "60 messages are kept; left out: none" in said
    card = read(tmp_path / train.OWN / "ngram")
    assert card.authors == authors
    assert card.details["data"]["documents"] == documents
    assert card.details["metrics"]["accuracy"] > 0.9


@pytest.mark.parametrize("target", ["train", "inspect"])
def test_make_takes_sources_from_its_command_line_only(target: str) -> None:
    def commands(*variables: str) -> str:
        environment = os.environ | {"GIT": "/usr/bin/git", "MBOX": "mails"}
        command = ["make", "--dry-run", target, *variables]
        return subprocess.run(
            command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True
        ).stdout

    assert "--git" not in commands()
    assert "--mbox" not in commands()
    assert '--git "a b"' in commands("GIT=a b")
    assert '--mbox "a b"' in commands("MBOX=a b")
    assert '--data "a b"' in commands("DATA=a b")
    # Otherwise an empty variable of the user's would train the model that comes with Byline.
    assert '--data ""' in commands("DATA=")


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.write(b"text,author\n" + b"b" * 8192)
        file.truncate(2**30)


@pytest.mark.parametrize(
    ("option", "make", "words"),
    [
        ("--git", Path.mkdir, "git says 'not a git repository"),
        ("--git", repository, "the repository has no commits: name another"),
        ("--mbox", Path.touch, "the file is empty: write messages into it"),
        ("--mbox", Path.mkdir, "neither a Maildir nor mbox files in it: name another"),
        ("--data", Path.mkdir, "no author/document.txt in it: write messages into it"),
        ("--data", sparse, "line 2: the line has more than 16,777,216 characters: write each"),
    ],
)
def test_bad_source_is_refused_in_two_seconds_and_the_old_model_stays(
    tmp_path: Path, option: str, make: Any, words: str
) -> None:
    make(tmp_path / "bad.csv")
    out = tmp_path / "model"
    out.mkdir()
    (out / "card.json").write_text("the old card")
    command = [sys.executable, "-m", "model.train", option, "bad.csv", "--out", "model"]
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    error = process.stderr.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stderr.close()
    assert process.returncode == 2
    assert error.startswith("train: bad.csv")
    assert words in error
    assert error.count("\n") == 1
    assert usage.ru_utime + usage.ru_stime < REFUSED_S
    assert [one.name for one in out.iterdir()] == ["card.json"]
    assert (out / "card.json").read_text() == "the old card"
