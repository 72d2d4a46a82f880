"""What Byline asks of a model: the protocol, and the values that cross it.

Any torch model serves once a class fulfils :class:`Model`; name it with
``BYLINE_MODEL=package.module:Class``. The class is called without arguments (or, where
``BYLINE_MODEL_DIR`` is set, with ``directory``), and must not touch a device yet. Every method
below is called from one thread, the one that owns torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar, runtime_checkable

if TYPE_CHECKING:  # the api process reads these types and must never import torch
    import torch

BatchT = TypeVar("BatchT")


class ModelError(Exception):
    """The model raised, or broke its protocol. Never quotes a text."""


class Bucket(NamedTuple):
    """A shape that ``forward`` is warmed with before the worker reports ready."""

    #: Messages in the batch.
    messages: int
    #: Length of each message, in characters.
    characters: int


@dataclass(frozen=True, slots=True)
class Candidate:
    """One author who may have written the message."""

    author: str
    #: Calibrated probability, 0 to 1.
    confidence: float


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of the text and what it adds to the author's score."""

    text: str
    #: Offset of the part in the canonical text, in characters.
    start: int
    #: Contribution to the score, in logits; negative speaks against the author.
    weight: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why an author was named: ``score = bias + sum of all weights + rest``.

    For a model that is linear in its features the equation is exact up to
    floating-point rounding.
    """

    author: str
    #: The author's logit, centred over the authors and divided by the temperature.
    score: float
    bias: float
    #: The strongest parts, strongest first.
    parts: tuple[Part, ...]
    #: Sum of the weights of all parts that are not listed.
    rest: float


@dataclass(frozen=True, slots=True)
class Prediction:
    """The model's answer for one message."""

    #: None where the model abstains.
    author: str | None
    confidence: float
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What is known of a trained model. ``details`` is free-form JSON for people."""

    name: str
    #: Names the weights and the preprocessing: any change of either is a new version.
    version: str
    #: Class index to author.
    authors: tuple[str, ...]
    #: Below this confidence the model abstains.
    threshold: float
    #: Data, split, metrics, calibration, confusion.
    details: dict[str, Any]


@runtime_checkable
class Model(Protocol[BatchT]):
    """A torch model that tells authors apart.

    ``prepare`` then ``forward`` must give one row for each text, in order. Both may
    raise; the batch is then split until the text that caused it stands alone.
    """

    card: ModelCard
    #: Shapes to warm, smallest first. The last one bounds the batch: ``prepare`` is
    #: never given more texts than its ``messages``.
    buckets: Sequence[Bucket]

    def load(self, device: torch.device) -> None:
        """Read the weights and move them to ``device``. Called once, first.

        Raises:
            OSError, ValueError: the weights are missing or do not fit the card.
        """

    def prepare(self, texts: Sequence[str]) -> BatchT:
        """Turn 1 to N canonical texts into tensors, padded to a bucket if need be."""

    def forward(self, batch: BatchT) -> torch.Tensor:
        """Return calibrated probabilities, float32, shape (texts, authors)."""


@runtime_checkable
class Explainer(Protocol):
    """A model that can also say why. Optional."""

    def explain(self, text: str, author: str) -> Evidence:
        """Return what in ``text`` speaks for ``author``.

        Raises:
            ValueError: the model does not know the author.
        """
