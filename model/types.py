"""The protocols that models implement, and the values that a model and Byline exchange.

A model gives each text one probability for each author of a fixed list. The model's class
implements :class:`Model`, or :class:`SequenceModel` if the model reads tokens. The class may add
:class:`Explainer` and :class:`Novelty`. The setting ``BYLINE_MODEL`` names the class as
``package.module:Class``. ``docs/models.md`` has a complete example of each protocol.

What Byline guarantees:

- The class gets no arguments, or ``directory=Path(…)`` if ``BYLINE_MODEL_DIR`` is set. The
  constructor must not use the device.
- Byline calls every method from one thread, and runs ``forward`` in ``torch.inference_mode()``.
- Byline calls ``load`` first, then checks the model on its batch shapes, then takes messages.
- Texts are canonical: in Unicode NFC, with ``\\n`` as line break, without white space at the ends,
  and never empty. No two texts of a batch are equal.

What happens if a method raises an error while a batch runs:

- After most errors, Byline halves the batch until the message that causes the error is alone. Only
  this message fails, with ``model_failed``. Byline logs the type and the line of the error, but not
  the error's text, which may quote a message.
- If the device has no memory left (``torch.OutOfMemoryError``, for example), Byline halves the
  forward pass (a pass holds all or some messages of a batch). All later passes have at most half
  the size of the pass that failed.
- After ``torch.AcceleratorError``, every later call would fail too. So the worker gives its tasks
  back to the queue and ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar, runtime_checkable

import msgspec

if TYPE_CHECKING:  # The api process imports this module and must never import torch.
    import numpy as np
    import torch
    from numpy.typing import NDArray

BatchT = TypeVar("BatchT")

#: The classes of models that come with Byline, by name.
MODELS = {
    "ngram": "model.ngram:NgramModel",
    "transformer": "model.transformer:TransformerModel",
    "huggingface": "model.huggingface:HuggingFaceModel",
}


class ModelError(Exception):
    """The model raised an error or broke its protocol. The error's text never quotes a message."""


class ModelRefused(ModelError):
    """The model breaks its protocol, so no worker may serve it.

    The error's text is one sentence that says what is wrong and what to do.
    """


class DeviceLost(RuntimeError):
    """The device failed, and every later call in this process would fail too.

    The error's text repeats the text of the device's error.
    """


class Bucket(NamedTuple):
    """A batch shape: a number of messages, all of one length.

    The worker runs ``forward`` on each shape before it reports ready.
    """

    #: Number of messages in the batch.
    messages: int
    #: Length of each message, in characters.
    characters: int


class Grid(NamedTuple):
    """The shapes that batches of tokens are padded to on a GPU, where a new shape is slow.

    A shape is a number from ``messages`` and a number from ``lengths``. Both tuples are ascending.
    A worker on a GPU runs all shapes of at most ``BYLINE_BATCH_TOKENS`` tokens before it reports
    ready. On a CPU, a batch is padded only to its longest sequence.
    """

    #: Numbers of rows that a padded batch may have. The first should be 1.
    messages: tuple[int, ...]
    #: Numbers of tokens that a row may have. The last is the longest sequence that the model reads.
    lengths: tuple[int, ...]


class Encoded(NamedTuple):
    """Texts as token sequences, in numpy arrays on the host.

    The tokens of text i are ``tokens[offsets[i]:offsets[i + 1]]``.
    """

    #: int64, shape (tokens of all texts,). Each text has 1 to ``grid.lengths[-1]`` tokens.
    tokens: NDArray[np.int64]
    #: int64, shape (texts + 1,). The first offset is 0.
    offsets: NDArray[np.int64]
    #: float32, shape (texts, width): numbers about each text that ``forward`` needs beside the
    #: tokens. The width is the model's choice and the same in every call; it may be 0.
    features: NDArray[np.float32]


class Padded(NamedTuple):
    """A padded batch of token sequences, as tensors on the model's device.

    Rows beyond the last message are padding: their tokens and features are 0 and their length is 1.
    """

    #: int64, shape (rows, length). Tokens beyond a row's length are 0.
    tokens: torch.Tensor
    #: int64, shape (rows,): number of tokens of each row, at least 1.
    lengths: torch.Tensor
    #: float32, shape (rows, width): the features that ``encode`` returned.
    features: torch.Tensor


# Candidate and Prediction are msgspec structs, because several are created for every message. To
# create a struct takes a third of the time of a dataclass.
class Candidate(msgspec.Struct, frozen=True):
    """An author who may have written the message."""

    author: str
    #: Calibrated probability, 0 to 1.
    confidence: float


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the text, and the weight that this part adds to the author's score."""

    text: str
    #: Offset of the part in the canonical text, in characters.
    start: int
    #: Contribution to the score, in logits. A negative weight speaks against the author.
    weight: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why the model gives an author a high or a low score.

    ``score`` is ``bias``, plus the weights of ``parts``, plus ``rest``. If the model is linear in
    its features, this sum is exact up to rounding.
    """

    author: str
    #: The author's logit minus the mean logit of all authors, divided by the temperature.
    score: float
    #: The part of the score that does not depend on the text.
    bias: float
    #: The strongest parts, strongest first.
    parts: tuple[Part, ...]
    #: Sum of the weights of all parts that are not listed.
    rest: float


class Prediction(msgspec.Struct, frozen=True):
    """The model's prediction for one message."""

    #: The most probable author, or None if the model abstains.
    author: str | None
    #: Calibrated probability of the most probable author, 0 to 1.
    confidence: float
    #: The most probable authors, at most 3, most probable first.
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True)
class ModelCard:
    """The description of a trained model."""

    #: Name for people.
    name: str
    #: Identifies the weights and the preprocessing, and is part of every cache key. The version
    #: must change whenever a prediction may change.
    version: str
    #: The authors, in the order of the columns that ``forward`` returns.
    authors: tuple[str, ...]
    #: The model abstains if its highest probability is lower than this number, 0 to 1.
    threshold: float
    #: Free-form JSON for people: data, split, metrics, calibration, common mistakes. The monitor
    #: reads the keys that ``docs/models.md`` lists.
    details: dict[str, Any]


@runtime_checkable
class Model(Protocol[BatchT]):
    """A PyTorch classifier that itself turns texts into tensors, and pads the tensors.

    The model runs in fp32. ``forward(prepare(texts))`` must give one row for each text, in the
    order of the texts.
    """

    card: ModelCard
    #: Shapes that the worker runs before it reports ready, smallest first. The last shape limits
    #: the batch: ``prepare`` never gets more texts than ``buckets[-1].messages``.
    buckets: Sequence[Bucket]

    def load(self, device: torch.device) -> None:
        """Reads the weights and moves them to ``device``. Byline calls this method first, and once.

        Raises:
            OSError, ValueError: the weights are missing or do not fit the model card.
        """

    def prepare(self, texts: Sequence[str]) -> BatchT:
        """Turns 1 to ``buckets[-1].messages`` texts into the argument of ``forward``.

        For a GPU, pad the batch to the shape of a bucket: each new shape costs memory and time.
        """

    def forward(self, batch: BatchT) -> torch.Tensor:
        """Returns calibrated, finite probabilities: float32, shape (texts, authors).

        If ``prepare`` added rows of padding, this method must leave them out.
        """


@runtime_checkable
class SequenceModel(Protocol):
    """A PyTorch classifier that reads each text as a sequence of tokens.

    Byline cuts a batch into passes that fit into the device's memory, and pads each pass. On a GPU,
    the padded shapes are those of ``grid``.
    """

    card: ModelCard
    grid: Grid

    def load(self, device: torch.device, dtype: torch.dtype) -> None:
        """Reads the weights, converts them to ``dtype``, and moves them to ``device``.

        Byline calls this method first, with float32. If ``BYLINE_PRECISION`` is ``bf16`` or
        ``fp16``, Byline calls it again with that type. Both types must give nearly the same
        probabilities.

        Raises:
            OSError, ValueError: the weights are missing or do not fit the model card.
        """

    def encode(self, texts: Sequence[str]) -> Encoded:
        """Turns any number of texts into tokens, in the order of the texts.

        This method must use the host only: it runs while a GPU computes the previous batch.
        """

    def forward(self, batch: Padded) -> torch.Tensor:
        """Returns calibrated, finite probabilities: float32, shape (rows, authors).

        Byline ignores the rows that are padding. Padding must not change the rows of messages.
        """


@runtime_checkable
class Novelty(Protocol):
    """An optional part of a model: measures how much of a text is new to the model."""

    def unseen(self, texts: Sequence[str]) -> Sequence[float]:
        """Returns, for each text, the share of the text's features that training never saw, 0 to 1.

        Byline calls this method with at most 8 texts a second. If this method raises an error, the
        messages do not fail.
        """


@runtime_checkable
class Explainer(Protocol):
    """An optional part of a model: explains a prediction, for requests with ``?explain=true``."""

    def explain(self, text: str, author: str) -> Evidence:
        """Returns the parts of ``text`` that speak most for and against ``author``.

        Raises:
            ValueError: the model does not know the author.
        """
