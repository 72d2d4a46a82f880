"""Folders that the Hugging Face adapter refuses: one line each, with what to do."""

from __future__ import annotations

import json
import shutil
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from model import check
from model.huggingface import HuggingFaceModel
from model.serving.engine import Engine
from model.serving.loading import create
from model.serving.placement import Placement
from model.types import MODELS, ModelRefused
from tests.huggingface import tiny_models


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.bert(tmp_path_factory.mktemp("written") / "bert")


@pytest.fixture
def folder(tmp_path: Path, written: Path) -> Path:
    return Path(shutil.copytree(written, tmp_path / "model"))


def refusal(folder: Path | None) -> str:
    """Returns the line with which a worker or the check refuses the model in the folder."""
    with pytest.raises(ModelRefused) as refused:
        Engine(create(MODELS["huggingface"], folder), Placement("cpu", threads=1)).start()
    assert "\n" not in str(refused.value)
    return str(refused.value)


def change(path: Path, **fields: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_model_without_a_folder_is_told_to_name_one() -> None:
    assert "set BYLINE_MODEL_DIR" in refusal(None)


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ("config.json", "it has no config.json; write it with save_pretrained"),
        ("model.safetensors", "has no weights in model.safetensors"),
        ("tokenizer.json", "has no tokenizer: write it there with tokenizer.save_pretrained"),
    ],
)
def test_folder_without_a_file_is_refused_with_the_command_that_writes_it(
    folder: Path, missing: str, words: str
) -> None:
    (folder / missing).unlink()
    said = refusal(folder)
    assert words in said
    assert str(folder) in said


def test_missing_folder_is_named(tmp_path: Path) -> None:
    assert f"there is no folder {tmp_path / 'none'}" in refusal(tmp_path / "none")


def test_pickled_weights_are_not_read(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    assert "Byline reads no other format" in refusal(folder)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"problem_type": "multi_label_classification"}, "the problem type multi_label"),
        ({"problem_type": "regression"}, "the problem type regression"),
        ({"id2label": {"0": "score"}}, "the problem type regression"),
        ({"function_to_apply": "sigmoid"}, "turns scores into probabilities by sigmoid"),
        ({"architectures": ["BertForMaskedLM"]}, "BertForMaskedLM, which classifies no texts"),
        ({"architectures": None}, "the architecture None, which classifies no texts"),
        ({"is_encoder_decoder": True}, "an encoder with a decoder"),
        ({"id2label": {"1": "a", "2": "b"}}, "id2label has the numbers [1, 2]"),
        ({"id2label": {"0": "a", "1": " ", "2": "c"}}, "id2label: a label is empty"),
        ({"id2label": {"0": "a", "1": "a ", "2": "c"}}, "names 'a' more than once"),
        ({"byline_threshold": 60}, "`card.threshold` is 60"),
        ({"model_type": "no-such-type"}, "can't read"),
        (
            {"model_type": "own", "auto_map": {"AutoConfig": "own.Config"}},
            "Byline never runs code from the folder",
        ),
    ],
)
def test_configuration_that_does_not_fit_is_refused(
    folder: Path, fields: dict[str, Any], words: str
) -> None:
    change(folder / "config.json", **fields)
    assert words in refusal(folder)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_damaged_file_is_refused_and_its_folder_named(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"nothing of the kind")
    said = refusal(folder)
    assert said.startswith(f"transformers {version('transformers')} can't read {folder}")
    assert "save the model and its tokenizer again" in said


def test_weights_without_the_classifier_are_refused(folder: Path) -> None:
    path = folder / "model.safetensors"
    weights = {name: each for name, each in load_file(path).items() if "classifier" not in name}
    save_file(weights, path, metadata={"format": "pt"})
    assert "lack classifier.bias, classifier.weight, or have another shape" in refusal(folder)


def test_labels_that_do_not_fit_the_weights_are_refused(folder: Path) -> None:
    change(folder / "config.json", id2label={str(n): f"label {n}" for n in range(5)})
    assert "lack classifier.bias, classifier.weight, or have another shape" in refusal(folder)


def test_tokenizer_of_another_model_is_refused(folder: Path) -> None:
    tiny_models.add_token(folder, "parcelparcel")
    assert "save the tokenizer that the model was trained with" in refusal(folder)


def test_tokenizer_without_padding_is_refused(folder: Path) -> None:
    change(folder / "tokenizer_config.json", pad_token=None)
    assert "has no token for padding" in refusal(folder)


def test_missing_library_is_named_with_the_command_that_installs_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    said = refusal(folder)
    assert said == (
        "the package transformers is not installed: use `make run MODEL=huggingface`, or install "
        "byline's extra `huggingface`"
    )


def test_check_model_describes_a_folder_and_refuses_another(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check, "MEASURE_S", 0.01)
    arguments = ["huggingface", "--device", "cpu", "--directory", str(folder)]
    assert check.main(arguments) == 0
    said = capsys.readouterr().out
    own = HuggingFaceModel(folder).card.version
    assert f"card: BertForSequenceClassification, version {own}, 3 authors" in said
    assert "reads tokens, at most 64 of a message" in said
    assert "has no `explain`, has no `unseen`" in said
    (folder / "config.json").unlink()
    assert check.main(arguments) == 2
    said = capsys.readouterr().err
    assert said.startswith("byline: huggingface can't be served: ")
    assert said.count("\n") == 1
