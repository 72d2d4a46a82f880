"""The transformer that comes with Byline: probabilities, quality, evidence, and refused weights."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("tokenizers", reason="the extra `transformer` is not installed")

from model import tensorfile
from model.serving.device import Device
from model.serving.engine import Engine
from model.serving.passes import SequencePlanner
from model.serving.placement import Placement
from model.training.corpus import HELD_OUT_FOLD, load_sotu
from model.transformer import classifier, parameters
from model.transformer.classifier import TransformerModel
from model.types import Explainer, SequenceModel
from tests.devices import FakeGPU

TEXTS = [
    "We gathered at the river, and nobody spoke of the harvest.",
    "x",
    "🎉🎉🎉",
    "Ναι — 是的。 Да!",
    "The rain fell on the roof all night. " * 500,
    "Fellow citizens of the Senate and of the House of Representatives, it is my duty to report.",
]


@pytest.fixture(scope="module")
def model() -> TransformerModel:
    model = TransformerModel()
    model.load(torch.device("cpu"), torch.float32)
    return model


def probabilities(model: TransformerModel, device: Device, texts: list[str]) -> torch.Tensor:
    found = torch.zeros(len(texts), len(model.card.authors))
    planner = SequencePlanner(model.encode, model.grid, device)
    with torch.inference_mode():
        for planned in planner.plan(texts, device.tokens):
            rows = model.forward(planned.batch())
            assert rows.dtype == torch.float32
            found[list(planned.indices)] = rows[: len(planned.indices)]
    return found


def test_model_implements_the_protocols(model: TransformerModel) -> None:
    assert isinstance(model, SequenceModel)
    assert isinstance(model, Explainer)


def test_padding_for_a_gpu_gives_the_probabilities_of_the_cpu(model: TransformerModel) -> None:
    exact = probabilities(model, Device(torch.device("cpu")), TEXTS)
    padded = probabilities(model, FakeGPU(), TEXTS)
    torch.testing.assert_close(padded, exact, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(exact.sum(1), torch.ones(len(TEXTS)))


def test_probabilities_are_the_same_in_a_batch_and_alone(model: TransformerModel) -> None:
    device = Device(torch.device("cpu"))
    together = probabilities(model, device, TEXTS)
    alone = torch.cat([probabilities(model, device, [text]) for text in TEXTS])
    torch.testing.assert_close(together, alone, rtol=1e-3, atol=1e-5)


def test_accuracy_on_held_out_messages_is_that_of_the_card(
    model: TransformerModel,
) -> None:
    messages = load_sotu().part(HELD_OUT_FOLD)[::40]
    found = probabilities(model, Device(torch.device("cpu")), [m.text for m in messages])
    named = [model.card.authors[index] for index in found.argmax(1).tolist()]
    right = np.mean([name == message.author for name, message in zip(named, messages, strict=True)])
    assert (
        abs(right - model.card.details["metrics"]["accuracy"]) < 0.12
    )  # The sample has 126 messages.


def test_card_compares_all_variants_and_serves_the_chosen_one(model: TransformerModel) -> None:
    variants = model.card.details["variants"]
    assert len(variants) == 6
    assert len({variant["name"] for variant in variants}) == 6
    best = max(variants[2:], key=lambda variant: float(variant["tuning_macro_f1"]))
    assert best["macro_f1"] == model.card.details["metrics"]["macro_f1"]
    page = (classifier.SHIPPED / "CARD.md").read_text(encoding="utf-8")
    for variant in variants:
        assert variant["name"] in page


@pytest.mark.parametrize("text", TEXTS[:4] + TEXTS[5:])
def test_evidence_adds_up_to_the_score_of_forward(model: TransformerModel, text: str) -> None:
    logs = probabilities(model, Device(torch.device("cpu")), [text])[0].double().log()
    for index in (0, 17):
        author = model.card.authors[index]
        found = model.explain(text, author)
        assert found.author == author
        assert found.score == pytest.approx((logs[index] - logs.mean()).item(), abs=2e-3)
        parts = sum(part.weight for part in found.parts)
        assert found.score == pytest.approx(found.bias + parts + found.rest, abs=1e-6)
        for part in found.parts:
            assert text[part.start :].startswith(part.text)


def test_unknown_author_is_refused(model: TransformerModel) -> None:
    with pytest.raises(ValueError, match="does not know"):
        model.explain("a", "Nobody")


def test_bf16_passes_its_check_on_the_cpu_with_close_confidences(
    model: TransformerModel,
) -> None:
    engine = Engine(TransformerModel(), Placement("cpu", precision="bf16", threads=1))
    engine.start()
    assert str(engine) == "cpu, bf16"
    exact = probabilities(model, Device(torch.device("cpu")), TEXTS)
    for prediction, row in zip(engine.predict(TEXTS), exact, strict=True):
        assert prediction.confidence == pytest.approx(row.max().item(), abs=0.05)


def test_weights_of_another_version_are_refused(tmp_path: Path) -> None:
    shutil.copytree(classifier.SHIPPED.parent, tmp_path / "weights")
    card = tmp_path / "weights" / "transformer" / "card.json"
    card.write_text(card.read_text().replace('"version": "transformer-1-', '"version": "other-'))
    other = TransformerModel(card.parent)
    with pytest.raises(ValueError, match="not of one version"):
        other.load(torch.device("cpu"), torch.float32)


def test_another_version_of_the_ngram_model_is_refused(tmp_path: Path) -> None:
    shutil.copytree(classifier.SHIPPED.parent, tmp_path / "weights")
    card = tmp_path / "weights" / "ngram" / "card.json"
    card.write_text(card.read_text().replace('"version": "ngram-1-', '"version": "ngram-1-0'))
    with pytest.raises(ValueError, match="not of the version it names"):
        TransformerModel(tmp_path / "weights" / "transformer")


def test_error_names_the_broken_file(tmp_path: Path) -> None:
    (tmp_path / tensorfile.NAME).write_bytes(b"nothing of the kind")
    with pytest.raises(ValueError, match="safetensors"):
        parameters.read(tmp_path, 3)
