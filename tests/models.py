"""Small torch models for tests. Environment variables can slow the models, or log their texts."""

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

#: Environment variable with the path of a file. Each forward pass, except those of the warm-up,
#: appends its texts to that file, one text a line.
CALLS = "TEST_MODEL_CALLS"
#: Environment variable with the minimum time in seconds of a forward pass after the warm-up.
SLOWNESS = "TEST_MODEL_SECONDS"
#: Environment variable with the seconds that each message adds to a forward pass.
SLOWNESS_EACH = "TEST_MODEL_MESSAGE_SECONDS"
#: The beginning of all texts of the warm-up.
WARM_UP = "0the quick"


class Vowels:
    """A model with two authors: ``vowels`` for texts of mostly vowels, else ``consonants``.

    A text with ``POISON`` makes the model raise an error, and ``DEADLY`` ends the process. With
    ``ENDLESS`` or ``GREEDY``, the forward pass never returns. With ``GREEDY``, no other thread can
    run, either.
    """

    card = ModelCard("vowels", "vowels-1", AUTHORS, 0.6, {"made": "for tests"})
    buckets = (Bucket(1, 20), Bucket(16, 20))

    def load(self, device: torch.device) -> None:
        self._weight = torch.tensor([[4.0, -4.0], [-2.0, 2.0]], device=device)

    def prepare(self, texts: Sequence[str]) -> torch.Tensor:
        _record(texts)
        if not texts[0].startswith(WARM_UP):
            each_s = float(os.environ.get(SLOWNESS_EACH, "0"))
            # A large model would compute for so long.
            time.sleep(float(os.environ.get(SLOWNESS, "0")) + each_s * len(texts))
        if any("POISON" in text for text in texts):
            raise ValueError(f"can't read {texts}")
        if any("DEADLY" in text for text in texts):
            os.kill(os.getpid(), signal.SIGKILL)
        if any("ENDLESS" in text for text in texts):
            threading.Event().wait()
        if any("GREEDY" in text for text in texts):
            re.match(r"(a+)+$", "a" * 60 + "b")  # never ends, and holds the interpreter's lock
        vowels = torch.tensor([sum(c in "aeiou" for c in text) / len(text) for text in texts])
        return torch.stack([vowels, 1 - vowels], dim=1)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return (batch.to(self._weight.device) @ self._weight).softmax(dim=1)


class NextVowels(Vowels):
    """The next version of the model :class:`Vowels`."""

    card = ModelCard("vowels", "vowels-2", AUTHORS, 0.6, {"made": "for tests"})


class Curt(Vowels):
    """A model that raises an error on every text of more than 100 characters."""

    def prepare(self, texts: Sequence[str]) -> torch.Tensor:
        if any(len(text) > 100 for text in texts):
            raise ValueError("a text is longer than a line")
        return super().prepare(texts)


class Broken(Vowels):
    """A model whose forward pass always raises an error, so that the warm-up fails."""

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("no such kernel")


class Letters:
    """The model :class:`Vowels` as a model of token sequences, in which a token is a character."""

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
