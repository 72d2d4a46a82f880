"""The forward pass of the default model: a linear classifier over hashed n-grams."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from model import card
from model.ngram import evidence, features, novelty, parameters
from model.training.evaluation import SLOPE
from model.types import Bucket, Evidence

#: The folder of the weights that come with Byline.
SHIPPED = Path(__file__).parents[1] / "weights" / "ngram"
#: Numbers of texts that a batch is padded to on a GPU. Each number is 8 times or 2 times the number
#: before it, which gives few shapes and little padding.
GRID_TEXTS = (1, 8, 64, 128, 256)
#: Numbers of rows that the longest text of a batch is padded to on a GPU. A text has a row of the
#: weight table for each distinct known n-gram: about 850 rows for 500 characters. A text with more
#: rows than the last number is computed in slices.
GRID_LENGTHS = (512, 1024, 2048, 4096)


class Batch(NamedTuple):
    """The hashed n-grams of some texts: flat tensors on the CPU, padded tensors on a GPU."""

    #: Rows of the weight table: int32, shape (rows,), or int64, shape (texts, length) if padded.
    rows: torch.Tensor
    #: Value of each row: float32, the same shape; 0 for padding.
    values: torch.Tensor
    #: Start of each text in ``rows``, and the end of the last text: int32, shape (texts + 1,).
    #: Unused if padded.
    offsets: torch.Tensor
    #: Number of texts, without padding.
    texts: int


class NgramModel:
    """A linear classifier over hashed n-grams, with calibrated probabilities.

    The class implements :class:`model.types.Model`. The logits are ``values @ table + bias``.
    ``values`` has a number for each n-gram of a text, and ``table`` has a row of weights for each
    known n-gram.
    """

    def __init__(self, directory: Path = SHIPPED) -> None:
        """Reads the card from ``directory``. :meth:`load` reads the weights from there.

        Raises:
            OSError, ValueError: the card is missing or invalid.
        """
        self.card = card.read(directory)
        self.buckets: Sequence[Bucket] = tuple(Bucket(size, 500) for size in GRID_TEXTS)
        self._directory = directory

    def load(self, device: torch.device) -> None:
        """Reads the weights and moves them to ``device``.

        On a GPU, the model then runs once on each shape that batches are padded to.

        Raises:
            OSError, ValueError: the weights are missing or do not fit the model card.
        """
        weights = parameters.read(self._directory, len(self.card.authors))
        if weights.version(self.card.authors, self.card.threshold) != self.card.version:
            raise ValueError(f"{self._directory}: weights and card are not of one version")
        self._weights = weights
        self._row_weights = weights.row_weights.numpy()
        self._vocabulary = weights.vocabulary
        self._device = device
        # On the CPU, embedding_bag computes values @ table from 8-bit rows, without padding and
        # without unpacking the table. On a GPU, the model gathers and multiplies float32 rows, in
        # batches padded to a few shapes. This avoids two faults on Apple's GPUs (MPS):
        # embedding_bag gives wrong results (pytorch#163630, #190060), and varying shapes leak
        # memory (#181213).
        self._padded = device.type != "cpu"
        self._table = (weights.unpacked() if self._padded else weights.table).to(device)
        self._bias = weights.bias.to(device)
        # The forward pass computes sums / temperature + offset, in one operation.
        self._factor = 1 / weights.temperature.item()
        self._offset = (weights.bias * self._factor + weights.shift).to(device)
        if self._padded:
            self._warm_up_grid()

    def prepare(self, texts: Sequence[str]) -> Batch:
        """Returns the hashed n-grams of 1 to 256 texts, which are the input of :meth:`forward`."""
        bags = features.count(texts, self._vocabulary)
        values = bags.values(self._row_weights)
        return self._pad(bags, values) if self._padded else ragged_batch(bags, values)

    def forward(self, batch: Batch) -> torch.Tensor:
        """Returns calibrated probabilities: float32, shape (texts, authors)."""
        scores = torch.add(self._offset, self._sums(batch), alpha=self._factor)
        return torch.add(functional.logsigmoid(scores), scores, alpha=SLOPE).softmax(1)

    def logits(self, batch: Batch) -> torch.Tensor:
        """Returns the logits before calibration: float32, shape (texts, authors)."""
        return self._sums(batch) + self._bias

    def _sums(self, batch: Batch) -> torch.Tensor:
        """Returns the logits without the bias."""
        return gather_sum(self._table, batch) if self._padded else bag_sum(self._table, batch)

    def explain(self, text: str, author: str) -> Evidence:
        """Returns the parts of ``text`` that speak most for and against ``author``.

        Raises:
            ValueError: the model does not know the author.
        """
        if author not in self.card.authors:
            raise ValueError("the model does not know this author")
        return evidence.explain(self._weights, text, author, self.card.authors.index(author))

    def unseen(self, texts: Sequence[str]) -> list[float]:
        """Returns, for each text, the share of its runs of characters that are unknown, 0 to 1."""
        return list(map(float, novelty.unseen_shares(texts, self._vocabulary)))

    def character_scores(self, text: str, index: int) -> tuple[NDArray[np.float64], float]:
        """Returns how much each character of ``text``, and the bias, add to an author's logit.

        The logit is relative to the mean logit of all authors, and not divided by the temperature.
        ``index`` is the author's index in the card.
        """
        scores, bias = evidence.character_scores(self._weights, text, index)
        temperature = self._weights.temperature.item()
        return scores * temperature, bias * temperature

    def _pad(self, bags: features.Bags, values: NDArray[np.float32]) -> Batch:
        """Returns a batch on the device, padded to sizes of ``GRID_TEXTS`` and ``GRID_LENGTHS``."""
        sizes = np.diff(bags.offsets)
        shape = (_round_up(GRID_TEXTS, len(sizes)), _round_up(GRID_LENGTHS, int(sizes.max())))
        filled = np.arange(shape[1]) < np.pad(sizes, (0, shape[0] - len(sizes)))[:, None]
        rows, padded = np.zeros(shape, np.int64), np.zeros(shape, np.float32)
        rows[filled], padded[filled] = bags.rows, values
        return Batch(
            torch.from_numpy(rows).to(self._device),
            torch.from_numpy(padded).to(self._device),
            torch.from_numpy(bags.offsets),
            len(sizes),
        )

    def _warm_up_grid(self) -> None:
        """Runs the model once on each shape that batches are padded to."""
        no_offsets = torch.zeros(0, dtype=torch.int32)
        for texts in GRID_TEXTS:
            for length in GRID_LENGTHS:
                rows = torch.zeros(texts, length, dtype=torch.int64, device=self._device)
                self.forward(Batch(rows, rows.float(), no_offsets, texts))


def ragged_batch(bags: features.Bags, values: NDArray[np.float32]) -> Batch:
    """Returns ``bags`` as a batch without padding, for :func:`bag_sum`.

    ``values`` has a number for each row in ``bags``. The batch shares the memory of both arguments.
    """
    return Batch(
        torch.from_numpy(bags.rows),
        torch.from_numpy(values),
        torch.from_numpy(bags.offsets),
        len(bags.offsets) - 1,
    )


def bag_sum(table: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Returns, for each text of a batch without padding, the sum of ``values * table[rows]``.

    ``values`` and ``rows`` are the batch's fields for the text. ``table`` has packed 8-bit rows.
    The sums are float32, shape (texts, authors).
    """
    sums: torch.Tensor = torch.ops.quantized.embedding_bag_byte_rowwise_offsets(
        table,
        batch.rows,
        batch.offsets,
        mode=0,
        per_sample_weights=batch.values,
        include_last_offset=True,
    )
    return sums


def gather_sum(table: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Returns, for each text of a padded batch, the sum of ``values * table[rows]``.

    ``values`` and ``rows`` are the batch's fields for the text. ``table`` is float32. The sums are
    float32, shape (texts, authors).
    """
    sums = table.new_zeros(batch.rows.shape[0], table.shape[1])
    longest = GRID_LENGTHS[-1]
    slices = zip(batch.rows.split(longest, 1), batch.values.split(longest, 1), strict=True)
    for rows, values in slices:
        sums += torch.bmm(values[:, None], table[rows])[:, 0]
    return sums[: batch.texts]


def _round_up(grid: Sequence[int], size: int) -> int:
    """Returns the smallest number of ``grid`` that is at least ``size``.

    A size above the grid's last number is rounded up to a multiple of that number.
    """
    last = grid[-1]
    return next((step for step in grid if step >= size), -(-size // last) * last)
