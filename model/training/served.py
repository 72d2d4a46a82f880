"""Runs a trained model on the held-out messages, and compares the results with its model card."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from model.canonical import parse_text
from model.serving.engine import Engine
from model.serving.loading import create
from model.serving.placement import Placement
from model.training.corpus import HELD_OUT_FOLD, Corpus
from model.training.errors import DataError
from model.training.importers.records import MAX_CHARACTERS
from model.types import MODELS, ModelCard, Prediction

#: Largest allowed difference between the served share of messages and the card's share. Rounding
#: can change the best guess for a few messages.
TOLERANCE = 0.002
#: Number of messages in a call of the engine.
BATCH = 256


class Served(NamedTuple):
    """The results on the held-out messages. Each is a share of the messages, 0 to 1."""

    #: Share of the messages whose most probable author is right.
    accuracy: float
    #: Share of the messages whose confidence reaches the threshold.
    coverage: float


def check_served(model: str, directory: Path, corpus: Corpus, card: ModelCard) -> Served:
    """Measures a trained model on the held-out messages, and compares the results with its card.

    Returns the results. The model runs as in a worker on the CPU.

    Raises:
        DataError: the accuracy or the coverage differs too much from that on the card.
    """
    measured, metrics = _serve(model, directory, corpus), card.details["metrics"]
    promised = Served(metrics["accuracy"], metrics["coverage_at_threshold"])
    # The difference of one message is allowed, and the card's shares are rounded.
    tolerance = max(TOLERANCE, 1 / len(corpus.part(HELD_OUT_FOLD)) + 0.0001)
    for name, here, there in zip(Served._fields, measured, promised, strict=True):
        if abs(here - there) > tolerance:
            raise DataError(
                f"the model serves the held-out messages with the {name} {here:.4f}, but its card "
                f"says {there}: this is a defect of Byline, please report it"
            )
    return measured


def predictions(model: str, directory: Path, texts: Sequence[str]) -> list[Prediction]:
    """Returns the model's prediction for each text, in order. The model runs on the CPU."""
    engine = Engine(create(MODELS[model], directory), Placement("cpu"))
    engine.start()
    found: list[Prediction] = []
    for start in range(0, len(texts), BATCH):
        batch = texts[start : start + BATCH]
        found += engine.predict([parse_text(text, MAX_CHARACTERS) for text in batch])
    return found


def _serve(model: str, directory: Path, corpus: Corpus) -> Served:
    messages = corpus.part(HELD_OUT_FOLD)
    found = predictions(model, directory, [message.text for message in messages])
    named = [prediction.candidates[0].author for prediction in found]
    right = sum(a == message.author for a, message in zip(named, messages, strict=True))
    answered = sum(prediction.author is not None for prediction in found)
    return Served(right / len(messages), answered / len(messages))
