"""The models on a real GPU. Without CUDA and Metal, these tests are skipped."""

from __future__ import annotations

import pytest
import torch

from model.ngram.classifier import NgramModel
from model.serving.device import Device, choose
from model.serving.engine import Engine
from model.serving.placement import Placement
from tests.unit.model.ngram.test_classifier import TEXTS

FOUND = [
    name
    for name, there in (
        ("cuda", torch.cuda.is_available()),
        ("mps", torch.backends.mps.is_available()),
    )
    if there
]
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not FOUND, reason="no CUDA and no Metal on this machine"),
]
# The text with a lone surrogate never reaches a model, because UTF-8 can't encode it.
GIVEN = [text for text in TEXTS if text.isascii() or "\ud800" not in text] * 8


@pytest.fixture(params=FOUND or ["none"])
def device(request: pytest.FixtureRequest) -> Device:
    return choose(request.param)


def engine(model: object, name: str, precision: str = "fp32") -> Engine:
    made = Engine(model, Placement(name, precision=precision))  # type: ignore[arg-type]
    made.start()
    return made


def confidences(made: Engine) -> list[float]:
    return [prediction.confidence for prediction in made.predict(GIVEN)]


def test_default_model_agrees_with_the_cpu(device: Device) -> None:
    expected = confidences(engine(NgramModel(), "cpu"))
    assert confidences(engine(NgramModel(), str(device))) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(
    ("precision", "tolerance"), [("fp32", 1e-3), ("bf16", 0.05), ("fp16", 0.05)]
)
def test_transformer_agrees_with_the_cpu(device: Device, precision: str, tolerance: float) -> None:
    pytest.importorskip("tokenizers")
    from model.transformer.classifier import TransformerModel

    expected = confidences(engine(TransformerModel(), "cpu"))
    actual = confidences(engine(TransformerModel(), str(device), precision))
    assert actual == pytest.approx(expected, abs=tolerance)


def test_overlapping_batches_keep_their_own_predictions(device: Device) -> None:
    pytest.importorskip("tokenizers")
    from model.transformer.classifier import TransformerModel

    made = engine(TransformerModel(), str(device))
    alone = [made.predict([text]) for text in GIVEN]
    launched = [made.launch([text]) for text in GIVEN]
    for expected, batch in zip(alone, launched, strict=True):
        [prediction], [one] = made.collect(batch), expected
        assert prediction.confidence == pytest.approx(one.confidence, abs=1e-3)


def test_status_shows_the_memory(device: Device) -> None:
    made = engine(NgramModel(), str(device))
    made.predict(GIVEN)
    memory = made.status.memory
    assert memory is not None
    assert 0 < memory.allocated <= memory.driver <= memory.limit


@pytest.mark.skipif("cuda" not in FOUND, reason="only CUDA's memory can be limited at run time")
def test_batch_is_halved_when_the_memory_runs_out() -> None:
    pytest.importorskip("tokenizers")
    from model.transformer.classifier import TransformerModel

    made = engine(TransformerModel(), "cuda")
    expected = confidences(made)
    size = torch.cuda.get_device_properties(0).total_memory
    made.device.release()
    texts = GIVEN * 40
    try:
        room = torch.cuda.memory_allocated() + 64 * 2**20
        torch.cuda.set_per_process_memory_fraction(room / size)
        found = made.predict(texts)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert made.status.batch.halved >= 1
    assert [p.confidence for p in found] == pytest.approx(expected * 40, abs=1e-3)
