"""Serves the held-out messages with a trained model, and compares the accuracy with the card's."""

from __future__ import annotations

from pathlib import Path

from model.canonical import parse_text
from model.serving.engine import Engine
from model.serving.loading import create
from model.serving.placement import Placement
from model.training.corpus import HELD_OUT_FOLD, Corpus
from model.training.datafile import MAX_CHARACTERS
from model.training.errors import DataError
from model.types import MODELS, ModelCard

#: Largest difference of the two accuracies: rounding may change the best guess of a few messages.
TOLERANCE = 0.002
#: Number of messages in a call of the engine.
BATCH = 256


def check_served(model: str, directory: Path, corpus: Corpus, card: ModelCard) -> float:
    """Returns the accuracy on the held-out messages as a worker on the CPU would serve them.

    Raises:
        DataError: this accuracy is not that of the card.
    """
    measured, promised = _accuracy(model, directory, corpus), card.details["metrics"]["accuracy"]
    # The difference of one message is allowed, and the card's accuracy is rounded.
    one = 1 / len(corpus.part(HELD_OUT_FOLD)) + 0.0001
    if abs(measured - promised) > max(TOLERANCE, one):
        raise DataError(
            f"the model serves the held-out messages with an accuracy of {measured:.4f}, but its "
            f"card says {promised}: this is a defect of Byline, please report it"
        )
    return measured


def _accuracy(model: str, directory: Path, corpus: Corpus) -> float:
    engine = Engine(create(MODELS[model], directory), Placement("cpu"))
    engine.start()
    messages = corpus.part(HELD_OUT_FOLD)
    right = 0
    for start in range(0, len(messages), BATCH):
        batch = messages[start : start + BATCH]
        found = engine.predict([parse_text(message.text, MAX_CHARACTERS) for message in batch])
        named = [prediction.candidates[0].author for prediction in found]
        right += sum(a == message.author for a, message in zip(named, batch, strict=True))
    return right / len(messages)
