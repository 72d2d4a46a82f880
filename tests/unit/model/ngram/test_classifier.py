"""The shipped n-gram model: its probabilities, padded and ragged batches, and refused weights."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from model import card, tensorfile
from model.ngram import classifier
from model.ngram.classifier import NgramModel
from model.training.platt import Platt
from model.types import Explainer, Model

TEXTS = [
    "We gathered at the river, and nobody spoke of the harvest.",
    "x",
    " ",
    "\0",
    "🎉🎉🎉",
    "Ναι — 是的。 Да!",
    "\ud800 alone",
    "The rain fell on the roof all night. " * 550,
]


@pytest.fixture(scope="module")
def model() -> NgramModel:
    model = NgramModel()
    model.load(torch.device("cpu"))
    return model


@pytest.fixture(scope="module")
def padded() -> NgramModel:
    """Returns a model that computes padded batches, as on an accelerator, but on the CPU."""
    model = NgramModel()
    model.load(torch.device("cpu"))
    model._padded = True
    model._table = model._weights.unpacked()
    return model


def test_model_implements_the_protocols(model: NgramModel) -> None:
    assert isinstance(model, Model)
    assert isinstance(model, Explainer)
    assert model.buckets[-1].messages == 256


def test_probabilities_of_any_text_are_finite_and_sum_to_one(model: NgramModel) -> None:
    probabilities = model.forward(model.prepare(TEXTS))
    assert probabilities.dtype == torch.float32
    assert probabilities.shape == (len(TEXTS), len(model.card.authors))
    assert torch.isfinite(probabilities).all()
    torch.testing.assert_close(probabilities.sum(1), torch.ones(len(TEXTS)))


def test_logits_of_the_empty_text_are_the_bias(model: NgramModel) -> None:
    torch.testing.assert_close(model.logits(model.prepare([""]))[0], model._bias)


def loaded(model: NgramModel, folder: Path, **changes: torch.Tensor) -> NgramModel:
    """Returns the model with other tensors, from a folder that it was written into."""
    weights = replace(model._weights, **changes)
    weights.write(folder)
    version = weights.version(model.card.authors, model.card.threshold)
    card.write(replace(model.card, version=version), folder)
    other = NgramModel(folder)
    other.load(torch.device("cpu"))
    return other


@pytest.mark.parametrize("shift", [-20.0, 1.5, 20.0])
def test_a_model_with_a_shift_gives_the_probabilities_of_the_training(
    model: NgramModel, tmp_path: Path, shift: float
) -> None:
    shifted = loaded(model, tmp_path, shift=torch.tensor([shift]))
    batch = shifted.prepare(TEXTS)
    logits = model.logits(batch).double().numpy()
    expected = Platt(float(model._weights.temperature), shift).probabilities(logits)
    found = shifted.forward(batch).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)
    # Even if all sigmoids round to 1, the best guess is that of the logits.
    np.testing.assert_array_equal(found.argmax(1), logits.argmax(1))


def test_probabilities_are_the_same_in_a_batch_and_alone(model: NgramModel) -> None:
    together = model.forward(model.prepare(TEXTS))
    alone = torch.cat([model.forward(model.prepare([text])) for text in TEXTS])
    torch.testing.assert_close(together, alone)


def test_padded_batch_gives_the_logits_of_the_ragged_batch(
    model: NgramModel, padded: NgramModel
) -> None:
    torch.testing.assert_close(
        padded.logits(padded.prepare(TEXTS)),
        model.logits(model.prepare(TEXTS)),
        rtol=1e-4,
        atol=1e-4,
    )


@pytest.mark.parametrize(("texts", "messages"), [(1, 1), (2, 8), (9, 64), (65, 128), (200, 256)])
def test_padded_batch_has_a_shape_of_the_grid(
    padded: NgramModel, texts: int, messages: int
) -> None:
    batch = padded.prepare(["A short one."] * texts)
    assert batch.rows.shape == batch.values.shape == (messages, classifier.GRID_LENGTHS[0])
    assert len(padded.forward(batch)) == texts


def test_bag_longer_than_the_grid_is_computed_in_slices(
    model: NgramModel, padded: NgramModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(classifier, "GRID_LENGTHS", (8, 16))
    batch = padded.prepare(TEXTS[:1])
    assert batch.rows.shape[1] > 3 * 16
    assert batch.rows.shape[1] % 16 == 0
    torch.testing.assert_close(
        padded.logits(batch), model.logits(model.prepare(TEXTS[:1])), rtol=1e-4, atol=1e-4
    )


def test_warm_up_runs_every_shape_of_the_grid(padded: NgramModel) -> None:
    padded._device = torch.device("cpu")
    padded._warm_up_grid()


def test_sum_of_packed_rows_equals_that_of_the_unpacked_table(model: NgramModel) -> None:
    batch = model.prepare(TEXTS[:1])
    table = model._weights.unpacked()
    expected = batch.values.double() @ table[batch.rows.long()].double()
    actual = model.logits(batch)[0] - model._bias
    np.testing.assert_allclose(actual, expected, atol=1e-5)


def test_weights_of_another_version_are_refused(tmp_path: Path) -> None:
    shutil.copytree(classifier.SHIPPED, tmp_path / "m")
    card = tmp_path / "m" / "card.json"
    card.write_text(card.read_text().replace('"version": "ngram-1-', '"version": "ngram-1-0'))
    with pytest.raises(ValueError, match="not of one version"):
        NgramModel(tmp_path / "m").load(torch.device("cpu"))


def test_weights_of_the_first_kind_of_features_are_refused(tmp_path: Path) -> None:
    shutil.copy(classifier.SHIPPED / "card.json", tmp_path)
    old = {"table": torch.zeros(360_448, 49, dtype=torch.uint8), "idf": torch.ones(360_448)}
    tensorfile.write(tmp_path, old, "chars2-4,tokens1-2,rows360448,sqrt,v1")
    with pytest.raises(ValueError, match=r"an earlier version.* train the model again") as refused:
        NgramModel(tmp_path).load(torch.device("cpu"))
    assert str(tmp_path) in str(refused.value)


def test_error_names_the_missing_or_broken_file(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"card\.json"):
        NgramModel(tmp_path)
    (tmp_path / "card.json").write_text("{}")
    with pytest.raises(ValueError, match="not a model card"):
        NgramModel(tmp_path)
    shutil.copy(classifier.SHIPPED / "card.json", tmp_path)
    (tmp_path / "weights.safetensors").write_bytes(b"nothing of the kind")
    with pytest.raises(ValueError, match="safetensors"):
        NgramModel(tmp_path).load(torch.device("cpu"))
