"""Small torch models for tests: real modules, made to be looked into."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from model.types import Bucket, Encoded, Grid, ModelCard, Padded

AUTHORS = ("vowels", "consonants")

#: Where set, each forward pass but those of the warm-up appends its texts, one a line.
CALLS = "TEST_MODEL_CALLS"
#: Where set, each forward pass but those of the warm-up takes at least so many seconds.
SLOWNESS = "TEST_MODEL_SECONDS"
#: Where set, it takes so many seconds more for each of its messages.
SLOWNESS_EACH = "TEST_MODEL_MESSAGE_SECONDS"
#: How the texts of the warm-up begin.
WARM_UP = "0the quick"


class Vowels:
    """Tells messages that are mostly vowels from those that are not.

    Raises on ``POISON``, ends the process on ``DEADLY``, and never returns from
    ``ENDLESS``, nor from ``GREEDY``, where no other thread runs either.
    """

    card = ModelCard("vowels", "vowels-1", AUTHORS, 0.6, {"made": "for tests"})
    buckets = (Bucket(1, 20), Bucket(16, 20))

    def load(self, device: torch.device) -> None:
        self._weight = torch.tensor([[4.0, -4.0], [-2.0, 2.0]], device=device)

    def prepare(self, texts: Sequence[str]) -> torch.Tensor:
        _record(texts)
        if not texts[0].startswith(WARM_UP):
            each_s = float(os.environ.get(SLOWNESS_EACH, "0"))
            # Stands in for a large model.
            time.sleep(float(os.environ.get(SLOWNESS, "0")) + each_s * len(texts))
        if any("POISON" in text for text in texts):
            raise ValueError(f"can't read {texts}")
        if any("DEADLY" in text for text in texts):
            os.kill(os.getpid(), signal.SIGKILL)
        if any("ENDLESS" in text for text in texts):
            threading.Event().wait()
        if any("GREEDY" in text for text in texts):
            re.match(r"(a+)+$", "a" * 60 + "b")  # takes for ever, and the interpreter's lock
        vowels = torch.tensor([sum(c in "aeiou" for c in text) / len(text) for text in texts])
        return torch.stack([vowels, 1 - vowels], dim=1)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return (batch.to(self._weight.device) @ self._weight).softmax(dim=1)


class NextVowels(Vowels):
    """The next version of the same."""

    card = ModelCard("vowels", "vowels-2", AUTHORS, 0.6, {"made": "for tests"})


class Curt(Vowels):
    """Raises on every text that is longer than a line, as those are that a start may send it."""

    def prepare(self, texts: Sequence[str]) -> torch.Tensor:
        if any(len(text) > 100 for text in texts):
            raise ValueError("a text is longer than a line")
        return super().prepare(texts)


class Broken(Vowels):
    """Can't even be warmed."""

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("no such kernel")


class Letters:
    """The same as a model of sequences: a token is a character. Raises on ``POISON``."""

    card = ModelCard("letters", "letters-1", AUTHORS, 0.6, {"made": "for tests"})
    grid = Grid((1, 2, 4, 8), (8, 16, 32))

    def load(self, device: torch.device, dtype: torch.dtype) -> None:
        self.dtype = dtype
        self._weight = torch.tensor([[4.0, -4.0], [-2.0, 2.0]], device=device)
        self._vowels = torch.zeros(0x110000, dtype=torch.bool, device=device)
        self._vowels[[ord(c) for c in "aeiou"]] = True

    def encode(self, texts: Sequence[str]) -> Encoded:
        _record(texts)
        if any("POISON" in text for text in texts):
            raise ValueError(f"can't read {texts}")
        cut = [text[: self.grid.lengths[-1]] for text in texts]
        sizes = [len(text) for text in cut]
        tokens = np.array([ord(c) for text in cut for c in text], np.int64)
        return Encoded(tokens, np.r_[0, np.cumsum(sizes)], np.zeros((len(texts), 0), np.float32))

    def forward(self, batch: Padded) -> torch.Tensor:
        places = torch.arange(batch.tokens.shape[1], device=batch.tokens.device)
        inside = places < batch.lengths[:, None]
        vowels = (self._vowels[batch.tokens] & inside).sum(1) / batch.lengths
        return (torch.stack([vowels, 1 - vowels], dim=1) @ self._weight).softmax(dim=1)


def _record(texts: Sequence[str]) -> None:
    path = os.environ.get(CALLS)
    if path and not texts[0].startswith(WARM_UP):
        with Path(path).open("a") as file:
            file.writelines(f"{text}\n" for text in texts)
