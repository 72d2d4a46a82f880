"""The predictions that are made from a model's output."""

from __future__ import annotations

import numpy as np

from model.serving.output_checks import predictions
from model.types import Candidate, ModelCard, Prediction

CARD = ModelCard("a card", "card-1", ("Ann", "Bob", "Cy"), 0.5, {})


def test_author_is_named_only_at_or_above_the_threshold() -> None:
    rows = np.array([[0.75, 0.25, 2, 0], [0.4375, 0.25, 0, 1], [0.5, 0.5, 1, 0]], np.float32)
    assert predictions(rows, CARD) == [
        Prediction("Cy", 0.75, (Candidate("Cy", 0.75), Candidate("Ann", 0.25))),
        Prediction(None, 0.4375, (Candidate("Ann", 0.4375), Candidate("Bob", 0.25))),
        Prediction("Bob", 0.5, (Candidate("Bob", 0.5), Candidate("Ann", 0.5))),
    ]


def test_confidences_are_rounded_as_by_python() -> None:
    # Odd multiples of 2**-7: their seventh digit is the last, and it is a 5.
    halves = (2 * np.arange(64) + 1) / 128
    confidences = np.append(np.random.default_rng(0).random(10_000), halves).astype(np.float32)
    rows = np.stack([confidences, np.zeros_like(confidences)], 1)
    found = [prediction.confidence for prediction in predictions(rows, CARD)]
    assert found == [round(confidence, 6) for confidence in confidences.tolist()]


def test_empty_batch_has_no_predictions() -> None:
    assert predictions(np.zeros((0, 6), np.float32), CARD) == []
