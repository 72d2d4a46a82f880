"""What Byline asks of a model: the protocol, and the values that cross it.

Any torch model serves once a class fulfils :class:`Model`, or :class:`SequenceModel` where it reads
tokens; name it with ``BYLINE_MODEL=package.module:Class``. The class is called without arguments
(or, where ``BYLINE_MODEL_DIR`` is set, with ``directory``), and must not touch a device yet. Every
method below is called from one thread, the one that owns torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar, runtime_checkable

import msgspec

if TYPE_CHECKING:  # the api process reads these types and must never import torch
    import numpy as np
    import torch
    from numpy.typing import NDArray

BatchT = TypeVar("BatchT")


class ModelError(Exception):
    """The model raised, or broke its protocol. Never quotes a text."""


class DeviceLost(RuntimeError):
    """The device failed, and will fail until the process is another. Says what it said."""


class Bucket(NamedTuple):
    """A shape that ``forward`` is warmed with before the worker reports ready."""

    #: Messages in the batch.
    messages: int
    #: Length of each message, in characters.
    characters: int


class Grid(NamedTuple):
    """The shapes that sequences are padded to on an accelerator, where each new shape costs.

    Both ascend. Every cell that fits the limit of tokens is warmed.
    """

    #: Rows of a padded batch.
    messages: tuple[int, ...]
    #: Tokens of each row. The last one is the longest sequence the model takes.
    lengths: tuple[int, ...]


class Encoded(NamedTuple):
    """Texts as sequences of tokens, on the host. Text i is tokens[offsets[i]:offsets[i + 1]]."""

    #: int64, (tokens of all texts,): at least one a text.
    tokens: NDArray[np.int64]
    #: int64, (texts + 1,)
    offsets: NDArray[np.int64]
    #: float32, (texts, any number): what else ``forward`` wants to know of each text.
    features: NDArray[np.float32]


class Padded(NamedTuple):
    """A batch of sequences on the model's device. Rows that are padding have the length 1."""

    #: int64, (messages, length); 0 where padded.
    tokens: torch.Tensor
    #: int64, (messages,)
    lengths: torch.Tensor
    #: float32, (messages, any number), as encoded; 0 where padded.
    features: torch.Tensor


# Made for every message, as is Prediction: a struct of msgspec's takes a third of the time.
class Candidate(msgspec.Struct, frozen=True):
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


class Prediction(msgspec.Struct, frozen=True):
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
class SequenceModel(Protocol):
    """A torch model that reads each text as a sequence of tokens. Byline batches and pads for it.

    ``encode`` and ``forward`` may raise; the batch is then split as for :class:`Model`.
    """

    card: ModelCard
    grid: Grid

    def load(self, device: torch.device, dtype: torch.dtype) -> None:
        """Read the weights and move them to ``device`` as ``dtype``. May be called again.

        Raises:
            OSError, ValueError: the weights are missing or do not fit the card.
        """

    def encode(self, texts: Sequence[str]) -> Encoded:
        """Turn canonical texts into tokens, on the host, while the device may still compute."""

    def forward(self, batch: Padded) -> torch.Tensor:
        """Return calibrated probabilities, float32, shape (messages, authors).

        What it answers for rows that are padding is not looked at.
        """


@runtime_checkable
class Novelty(Protocol):
    """A model that can also say how much of a text is new to it. Optional."""

    def unseen(self, texts: Sequence[str]) -> Sequence[float]:
        """Return for each text the share of its features that training never saw, 0 to 1."""


@runtime_checkable
class Explainer(Protocol):
    """A model that can also say why. Optional."""

    def explain(self, text: str, author: str) -> Evidence:
        """Return what in ``text`` speaks for ``author``.

        Raises:
            ValueError: the model does not know the author.
        """
