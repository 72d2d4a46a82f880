"""A Hugging Face model: its probabilities, its card, its version, and what it never does."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from model.huggingface import HuggingFaceModel
from model.serving.engine import Engine
from model.serving.placement import Placement
from model.types import Explainer, Novelty, SequenceModel
from tests.devices import FakeGPU
from tests.huggingface import tiny_models
from tests.huggingface.tiny_models import LABELS, LONGEST, TEXTS

Write = Callable[[Path], Path]
Scores = list[dict[str, float]]


WRITERS = (tiny_models.bert, tiny_models.roberta, tiny_models.modern_bert, tiny_models.gpt2)


@pytest.fixture(scope="module", params=WRITERS)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    write: Write = request.param
    return write(tmp_path_factory.mktemp("model") / write.__name__)


@pytest.fixture
def copied(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Path:
    copy = tmp_path_factory.mktemp("copy") / "model"
    shutil.copytree(folder, copy)
    return copy


def scores(engine: Engine, texts: list[str]) -> Scores:
    found = engine.predict(texts)
    return [{one.author: one.confidence for one in each.candidates} for each in found]


def started(folder: Path, precision: str = "fp32") -> Engine:
    engine = Engine(HuggingFaceModel(folder), Placement("cpu", precision, threads=1))
    engine.start()
    return engine


def assert_close(found: Scores, expected: Scores, tolerance: float = 1e-4) -> None:
    assert [*found] == [pytest.approx(each, abs=tolerance) for each in expected]


def test_probabilities_are_those_of_the_pipeline_of_transformers(folder: Path) -> None:
    expected = tiny_models.pipeline(folder)
    assert len({max(each, key=each.__getitem__) for each in expected}) == len(LABELS)
    assert_close(scores(started(folder), TEXTS), expected)


def test_padding_for_a_gpu_gives_the_probabilities_of_the_cpu(folder: Path) -> None:
    placement = Placement("cuda", threads=1)
    padded = Engine(HuggingFaceModel(folder), placement, lambda *_: FakeGPU())
    padded.start()
    assert_close(scores(padded, TEXTS), scores(started(folder), TEXTS))


def test_probabilities_are_the_same_in_a_batch_and_alone(folder: Path) -> None:
    engine = started(folder)
    alone = [scores(engine, [text])[0] for text in TEXTS]
    assert_close(scores(engine, TEXTS), alone)


def test_bf16_gives_close_probabilities_and_a_version_of_its_own(folder: Path) -> None:
    exact, rounded = started(folder), started(folder, "bf16")
    assert rounded.version == f"{exact.version}-bf16"
    assert_close(scores(rounded, TEXTS), scores(exact, TEXTS), 0.05)


def test_long_text_is_cut_at_the_longest_text_of_the_model(folder: Path) -> None:
    model = HuggingFaceModel(folder)
    encoded = model.encode(["parcel " * 1000, "parcel"])
    assert model.grid.lengths[-1] == LONGEST
    assert encoded.offsets.tolist() == [0, LONGEST, len(encoded.tokens)]


def test_card_has_the_labels_and_says_what_nobody_knows(folder: Path) -> None:
    card = HuggingFaceModel(folder).card
    assert (card.authors, card.threshold) == (LABELS, 0)
    assert card.details["max_tokens"] == LONGEST
    assert "accuracy" in card.details["not_known"]
    assert not {"metrics", "calibration", "reference"} & card.details.keys()


def test_model_reads_tokens_and_has_no_evidence(folder: Path) -> None:
    model = HuggingFaceModel(folder)
    assert isinstance(model, SequenceModel)
    assert not isinstance(model, Explainer | Novelty)
    assert started(folder).explain(TEXTS[0], LABELS[0]) is None


def test_threshold_in_the_configuration_makes_the_model_abstain(copied: Path) -> None:
    config = json.loads((copied / "config.json").read_text())
    (copied / "config.json").write_text(json.dumps(config | {"byline_threshold": 0.99999}))
    [prediction] = started(copied).predict(["x y z"])
    assert prediction.author is None
    assert prediction.candidates[0].confidence == prediction.confidence > 0


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_changed_file_gives_another_version(copied: Path, name: str) -> None:
    before = HuggingFaceModel(copied).card.version
    assert HuggingFaceModel(copied).card.version == before
    if name == "model.safetensors":
        content = bytearray((copied / name).read_bytes())
        content[-1] ^= 1
        (copied / name).write_bytes(content)
    else:
        (copied / name).write_text((copied / name).read_text() + "\n")
    assert HuggingFaceModel(copied).card.version != before


def test_files_that_no_answer_depends_on_keep_the_version(copied: Path) -> None:
    before = HuggingFaceModel(copied).card.version
    (copied / "README.md").write_text("A model.")
    (copied / "training_args.bin").write_bytes(b"none")
    assert HuggingFaceModel(copied).card.version == before


def test_loading_opens_no_connection(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[object] = []

    def connect(_: socket.socket, address: object) -> None:
        tried.append(address)
        raise OSError("the test lets no socket connect")

    monkeypatch.setattr(socket.socket, "connect", connect)
    model = HuggingFaceModel(folder)
    model.load(torch.device("cpu"), torch.float32)
    assert tried == []
