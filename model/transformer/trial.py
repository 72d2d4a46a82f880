"""What is tried in training the transformer: variants, and how they are calibrated and judged."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import minimize

from model.training import evaluation
from model.training.evaluation import Classes, Floats
from model.transformer import encoder

#: Powers of an author's share of the messages that may be taken back.
BALANCES = np.linspace(0, 0.5, 11)


class Variant(NamedTuple):
    """What is tried: so many layers that learn, with the n-grams' scores or without."""

    #: None for no encoder at all.
    layers: int | None
    ngrams: bool

    def __str__(self) -> str:
        if self.layers is None:
            return "n-grams alone, authors balanced"
        words = {0: "head alone", encoder.LAYERS: "all layers fine-tuned"}
        name = words.get(self.layers, f"last {self.layers} layers fine-tuned")
        return f"{name}, with the n-grams' scores" if self.ngrams else name


class Scales(NamedTuple):
    """How the logits of the head and of the n-grams become calibrated ones."""

    head: float
    ngrams: float
    #: Added to each author's logit, (authors,).
    offset: Floats
    #: How far the offset takes back that some authors wrote more: the power of their share.
    balance: float

    def mixed(self, head: Floats, ngrams: Floats) -> Floats:
        """Return the calibrated logits."""
        return self.head * head + self.ngrams * ngrams + self.offset


class Trial(NamedTuple):
    """A variant that was fitted without the tuning fold, and judged by it."""

    variant: Variant
    scales: Scales
    threshold: float
    macro_f1: float

    def measured(self, answers: Floats, labels: Classes) -> dict[str, Any]:
        """Return a row of the card, from probabilities on the held-out messages."""
        summary = evaluation.summary(answers, labels, self.threshold)
        return {
            "name": str(self.variant),
            "tuning_macro_f1": self.macro_f1,
            "accuracy": summary["accuracy"],
            "macro_f1": summary["macro_f1"],
        }


def judge(variant: Variant, head: Floats, ngrams: Floats, labels: Classes, shares: Floats) -> Trial:
    """Calibrate a variant on messages that neither head nor n-grams have seen, and measure it.

    Logits have the shape (messages, authors); ``shares`` is each author's of what was learnt from.
    """
    scales = _scales(
        head if variant.layers is not None else np.zeros_like(head),
        ngrams if variant.ngrams else np.zeros_like(ngrams),
        labels,
        shares,
    )
    calibrated = evaluation.softmax(scales.mixed(head, ngrams))
    predicted, confidence = calibrated.argmax(1), calibrated.max(1)
    return Trial(
        variant,
        scales,
        evaluation.threshold(confidence, predicted == labels),
        round(evaluation.macro_f1(labels, predicted, len(shares)), 4),
    )


def _scales(head: Floats, ngrams: Floats, labels: Classes, shares: Floats) -> Scales:
    """Return the scales with the least loss, and the balance with the best macro-F1 upon them.

    Temperature scaling with two temperatures; the loss is convex in them, and what is all zeros
    gets the scale 0. Then as in Menon et al. 2021, "Long-tail learning via logit adjustment", and
    the temperature once more.
    """
    spread = [float(logits.std()) for logits in (head, ngrams)]
    parts = [logits / (size or 1.0) for logits, size in zip((head, ngrams), spread, strict=True)]

    def loss(scales: Floats) -> float:
        return evaluation.log_loss(scales[0] * parts[0] + scales[1] * parts[1], labels)

    found = minimize(loss, [1.0, 1.0], method="L-BFGS-B", bounds=[(1e-3, None)] * 2).x
    mixed = found[0] * parts[0] + found[1] * parts[1]

    def macro_f1(balance: float) -> float:
        predicted = (mixed - balance * np.log(shares)).argmax(1)
        return evaluation.macro_f1(labels, predicted, len(shares))

    balance = float(max(BALANCES, key=macro_f1))
    offset = -balance * np.log(shares)
    divisor = evaluation.temperature(mixed + offset, labels)
    scales = [s / size / divisor if size else 0.0 for s, size in zip(found, spread, strict=True)]
    return Scales(scales[0], scales[1], offset / divisor, balance)
