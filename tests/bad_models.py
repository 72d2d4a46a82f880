"""Models that break the model protocol. Tests give their class names to workers and commands."""

from __future__ import annotations

import torch

from model.types import ModelCard
from tests.models import Vowels


class Logits(Vowels):
    """Returns what the last layer gives, without a softmax."""

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return batch @ self._weight


class Doubled(Vowels):
    """Names an author twice."""

    card = ModelCard("doubled", "doubled-1", ("vowels", "vowels"), 0.6, {})


class Unset(Vowels):
    """Raises in its constructor."""

    def __init__(self) -> None:
        raise KeyError("PATH_OF_WEIGHTS")
