"""The variants that the training of the transformer compares, and their calibration."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import minimize

from model.training import evaluation
from model.training.evaluation import Classes, Floats
from model.transformer import encoder

#: Balances that the calibration tries. See :class:`Scales`.
BALANCES = np.linspace(0, 0.5, 11)


class Variant(NamedTuple):
    """A variant of the transformer.

    Variants differ in the number of fine-tuned layers, and in the use of the n-gram model's logits.
    """

    #: Number of the encoder's layers that are fine-tuned. None: the variant has no encoder.
    layers: int | None
    #: Whether the logits of the n-gram model are added.
    ngrams: bool

    def __str__(self) -> str:
        if self.layers is None:
            return "n-grams alone, authors balanced"
        names = {0: "head alone", encoder.LAYERS: "all layers fine-tuned"}
        name = names.get(self.layers, f"last {self.layers} layers fine-tuned")
        return f"{name}, with the n-grams' scores" if self.ngrams else name


class Scales(NamedTuple):
    """The numbers that mix the head's and the n-gram model's logits into calibrated logits."""

    #: Factor of the head's logits.
    head: float
    #: Factor of the n-gram model's logits.
    ngrams: float
    #: Number added to each author's logit, shape (authors,).
    offset: Floats
    #: Correction for authors with many messages, 0 (none) to 0.5: the offset divides an author's
    #: probability by the author's share of the training messages to this power.
    balance: float

    def mixed(self, head: Floats, ngrams: Floats) -> Floats:
        """Returns calibrated logits, mixed from the logits of the head and of the n-gram model."""
        return self.head * head + self.ngrams * ngrams + self.offset


class Trial(NamedTuple):
    """A variant that was fitted without the tuning fold, and its result on the tuning fold."""

    variant: Variant
    scales: Scales
    threshold: float
    #: Macro-F1 on the tuning fold.
    macro_f1: float

    def measured(self, probabilities: Floats, labels: Classes) -> dict[str, Any]:
        """Measures the variant on the held-out messages. Returns a row for the model card's table.

        ``probabilities`` are the variant's probabilities, and ``labels`` are the true authors.
        """
        summary = evaluation.summary(probabilities, labels, self.threshold)
        return {
            "name": str(self.variant),
            "tuning_macro_f1": self.macro_f1,
            "accuracy": summary["accuracy"],
            "macro_f1": summary["macro_f1"],
        }


def run_trial(
    variant: Variant, head: Floats, ngrams: Floats, labels: Classes, shares: Floats
) -> Trial:
    """Calibrates and measures a variant on the tuning fold.

    ``head`` and ``ngrams`` are the logits of this fold's messages, from models that were fitted
    without this fold. Both have the shape (messages, authors). ``shares`` has each author's share
    of the messages that the head was fitted to.
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
        evaluation.fit_threshold(confidence, predicted == labels),
        round(evaluation.macro_f1(labels, predicted, len(shares)), 4),
    )


def _scales(head: Floats, ngrams: Floats, labels: Classes, shares: Floats) -> Scales:
    """Fits the numbers that mix the head's and the n-gram model's logits.

    A factor is 0 if all of its logits are 0. The balance is that of Menon et al. 2021, "Long-tail
    learning via logit adjustment".
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

    # The factors above give the smallest log loss. The balance gives the best macro-F1.
    balance = float(max(BALANCES, key=macro_f1))
    offset = -balance * np.log(shares)
    # One temperature divides the balanced logits.
    divisor = evaluation.fit_temperature(mixed + offset, labels)
    scales = [s / size / divisor if size else 0.0 for s, size in zip(found, spread, strict=True)]
    return Scales(scales[0], scales[1], offset / divisor, balance)
