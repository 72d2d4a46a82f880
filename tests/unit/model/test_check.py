"""The command ``make check-model``: what it prints, and its exit status."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from model import check
from tests.parts import ROOT


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "MEASURE_S", 0.01)


def test_model_that_fits_is_described_and_measured(capsys: pytest.CaptureFixture[str]) -> None:
    assert check.main(["tests.models:Vowels", "--device", "cpu"]) == 0
    out = capsys.readouterr().out
    assert "card: vowels, version vowels-1, 2 authors, names none below 0.6" in out
    assert "2 buckets, at most 16 messages in a pass" in out
    assert "has no `explain`, has no `unseen`" in out
    assert re.findall(r"batch of +(\d+): +[\d.]+ ms, +[\d,]+ messages/s", out) == [
        *("1", "8", "64", "256")
    ]
    assert out.endswith("tests.models:Vowels can be served\n")


def test_shipped_model_is_known_by_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert check.main(["ngram", "--device", "cpu"]) == 0
    assert "has `explain`, has `unseen`" in capsys.readouterr().out


def test_sequence_model_is_checked_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert check.main(["tests.models:Letters", "--device", "cpu", "--precision", "bf16"]) == 0
    out = capsys.readouterr().out
    assert "reads tokens, at most 32 of a message" in out
    assert "version letters-1-bf16" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["tests.bad_models:Logits"], "did you forget softmax?"),
        (["tests.bad_models:Doubled"], "names 'vowels' more than once"),
        (["tests.models:Broken"], "raised RuntimeError at Broken.forward:"),
        (["tests.models:Vowels", "--device", "cuda:7"], "device cuda:7 can't be used"),
        (["ngram", "--directory", "/no/such/folder"], "/no/such/folder/card.json"),
    ],
)
def test_model_that_is_refused_gives_one_line_and_status_2(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check.main(arguments) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"byline: {arguments[0]} can't be served: ")
    assert words in said
    assert said.count("\n") == 1


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    # The environment of the tests may have another name than .venv, and no mark.
    own = [f"BIN={Path(sys.executable).parent}", "RUN=Makefile"]
    return subprocess.run(
        ["make", *own, "check-model", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_make_check_model_ends_with_2_and_one_sentence() -> None:
    done = make("MODEL=tests.bad_models:Logits")
    assert done.returncode == 2
    assert "did you forget softmax?" in done.stderr.splitlines()[0]
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_make_check_model_passes_the_folder_on() -> None:
    done = make("MODEL=ngram", "MODEL_DIR=model/weights/ngram")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("ngram can be served\n")
    assert make("MODEL=ngram", "MODEL_DIR=/no/such/folder").returncode == 2
