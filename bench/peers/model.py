"""The model that every peer serves: the same weights, loaded and called in the same way."""

from __future__ import annotations

import asyncio
import importlib
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

#: Maximum number of messages of a batch, in every peer that batches. The model has a padded shape
#: of this size.
BATCH = 64


class Predictor:
    """The model in this process.

    Only the thread that creates a predictor may call the predictor: the model's engine refuses
    other threads.
    """

    def __init__(self, threads: int = 1) -> None:
        """Loads the model class that ``BENCH_MODEL`` names, with ``threads`` threads for torch."""
        # Imported by name, because the benchmarks may not import what they measure.
        engine = importlib.import_module("model.serving.engine")
        module, _, name = os.environ.get("BENCH_MODEL", "model.ngram:NgramModel").partition(":")
        model = getattr(importlib.import_module(module), name)()
        # One thread computes the default model fastest: a batch takes a few milliseconds, too short
        # to be worth splitting. On two cores, the peer's other processes need the second core.
        self._engine = engine.Engine(model, engine.Placement(device="cpu", threads=threads))
        self._engine.start()

    def predict(self, texts: Sequence[str]) -> list[dict[str, Any]]:
        """Returns the attributions of a batch of texts, ready to be encoded as JSON."""
        # Not dataclasses.asdict, whose deep copy costs more than the model.
        return [
            {
                "author": prediction.author,
                "confidence": prediction.confidence,
                "candidates": [
                    {"author": candidate.author, "confidence": candidate.confidence}
                    for candidate in prediction.candidates
                ],
            }
            for prediction in self._engine.predict(texts)
        ]

    def answer(self, requests: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Returns an answer to each of ``requests``, the bodies of single and bulk HTTP requests.

        Calls the model once for all requests.
        """
        texts = [text for request in requests for text in _texts(request)]
        predictions = iter(self.predict(texts))
        return [
            {"attributions": [next(predictions) for _ in request["messages"]]}
            if "messages" in request
            else next(predictions)
            for request in requests
        ]


class PredictorThread:
    """A predictor in a thread of its own, for servers whose event loop must not block."""

    def __init__(self, threads: int = 1) -> None:
        """Starts the thread, and loads the model in it, with ``threads`` threads for torch."""
        self._executor = ThreadPoolExecutor(1, "model")
        self._predictor = self._executor.submit(Predictor, threads).result()

    async def predict(self, texts: Sequence[str]) -> list[dict[str, Any]]:
        """Returns the attributions of a batch of texts, ready to be encoded as JSON."""
        return await asyncio.wrap_future(self._executor.submit(self._predictor.predict, texts))

    async def answer(self, requests: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Returns an answer to each of ``requests``, the bodies of single and bulk HTTP requests.

        Calls the model once for all requests.
        """
        return await asyncio.wrap_future(self._executor.submit(self._predictor.answer, requests))


def _texts(request: Mapping[str, Any]) -> list[str]:
    if "messages" in request:
        return [message["text"] for message in request["messages"]]
    return [request["text"]]
