"""A model on its device, and the one thread that may touch it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import torch

from model.device import choose
from model.types import (
    Bucket,
    Candidate,
    Evidence,
    Explainer,
    Model,
    ModelError,
    Prediction,
)

#: Candidates named for each message.
CANDIDATES = 3


class Engine:
    """Runs a model. Everything but the constructor belongs to the thread that called ``start``.

    MPS aborts the process when two threads use it, so another thread is refused, not queued.
    """

    def __init__(self, model: Model[Any], device: str, threads: int) -> None:
        """``device`` as :func:`model.device.choose` takes it; ``threads`` on the CPU."""
        self._model = model
        self._device_name = device
        self._threads = threads
        self._owner: int | None = None
        self.device = torch.device("meta")  # until it is started

    def start(self) -> None:
        """Choose the device, load the model, and warm every bucket.

        Raises:
            DeviceError: the device can't be used.
            ModelError: the model failed on a bucket.
            OSError, ValueError: the weights are missing or do not fit.
        """
        self._owner = threading.get_ident()
        torch.set_num_threads(self._threads)
        self.device = choose(self._device_name)
        self._model.load(self.device)
        for bucket in self._model.buckets:
            self.predict(_texts_for(bucket))

    @property
    def version(self) -> str:
        """The model's version."""
        return self._model.card.version

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """Return a prediction for each of any number of texts, in order.

        Raises:
            ModelError: the model raised on one of them, or did not answer each.
        """
        self._own()
        largest = self._model.buckets[-1].messages
        predictions: list[Prediction] = []
        for start in range(0, len(texts), largest):
            predictions += self._forward(texts[start : start + largest])
        return predictions

    def explain(self, text: str, author: str) -> Evidence | None:
        """Return what speaks for ``author``, or None where the model can't tell.

        Raises:
            ModelError: the model raised.
        """
        self._own()
        if not isinstance(self._model, Explainer):
            return None
        try:
            return self._model.explain(text, author)
        except Exception as error:  # it may be anybody's code
            raise _quoteless(error) from None

    def _forward(self, texts: Sequence[str]) -> list[Prediction]:
        try:
            with torch.inference_mode():
                probabilities = self._model.forward(self._model.prepare(texts))
                _check(probabilities, len(texts), len(self._model.card.authors))
                best = probabilities.topk(min(CANDIDATES, probabilities.shape[1]))
                values, indices = best.values.tolist(), best.indices.tolist()
        except ModelError:
            raise
        except Exception as error:  # it may be anybody's code
            raise _quoteless(error) from None
        return [self._prediction(*row) for row in zip(values, indices, strict=True)]

    def _prediction(self, confidences: list[float], classes: list[int]) -> Prediction:
        card = self._model.card
        candidates = tuple(
            Candidate(card.authors[index], round(confidence, 6))
            for index, confidence in zip(classes, confidences, strict=True)
        )
        best = candidates[0]
        answers = confidences[0] >= card.threshold
        return Prediction(best.author if answers else None, best.confidence, candidates)

    def _own(self) -> None:
        if threading.get_ident() != self._owner:
            raise RuntimeError("the model belongs to another thread")


def _texts_for(bucket: Bucket) -> list[str]:
    """Texts of a bucket's shape, each different, so that nothing is shared between them."""
    words = "the quick brown fox jumps over the lazy dog and "
    text = (words * (bucket.characters // len(words) + 1))[: bucket.characters]
    return [f"{number:x}{text}"[: bucket.characters] for number in range(bucket.messages)]


def _check(probabilities: torch.Tensor, texts: int, authors: int) -> None:
    if tuple(probabilities.shape) != (texts, authors):
        raise ModelError(
            f"the model answered with shape {tuple(probabilities.shape)}, not {(texts, authors)}"
        )
    if not bool(torch.isfinite(probabilities).all()):
        raise ModelError("the model answered with a number that is not finite")


def _quoteless(error: Exception) -> ModelError:
    """Name the error's kind and place, not its words: they may quote the text."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f" at {trace.tb_frame.f_code.co_qualname}:{trace.tb_lineno}" if trace else ""
    return ModelError(f"the model raised {type(error).__name__}{place}")
