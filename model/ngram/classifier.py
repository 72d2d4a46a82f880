"""The default model: a linear classifier over hashed n-grams, calibrated by a temperature."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from model import card
from model.ngram import evidence, features, novelty, parameters
from model.types import Bucket, Evidence

#: The weights that come with Byline.
SHIPPED = Path(__file__).parents[1] / "weights" / "ngram"
#: Sizes a batch is padded to on an accelerator. Growth by 8 then 2: few shapes, little padding.
MESSAGES = (1, 8, 64, 128, 256)
#: Sizes the longest bag of a batch is padded to, in rows; 500 characters have about 1,100.
#: A longer bag is taken in slices of the last.
LENGTHS = (512, 1024, 2048, 4096)


class Batch(NamedTuple):
    """A batch on the model's device: ragged and flat on the CPU, padded elsewhere."""

    #: Rows of the weight table, int32 or int64: (rows,), or (messages, length).
    rows: torch.Tensor
    #: What each row counts for, float32, of the same shape; 0 where padded.
    values: torch.Tensor
    #: Where each text begins, int32, (texts + 1,). Not used where padded.
    offsets: torch.Tensor
    #: Texts in the batch, without padding.
    texts: int


class NgramModel:
    """Logits are ``values @ table + bias``; see :class:`model.types.Model` for the protocol.

    Two formulations of one sum. On the CPU, ``embedding_bag`` over 8-bit rows: nothing is padded
    or upcast. Elsewhere, gather and multiply on shapes of a small grid: ``embedding_bag`` is
    wrong on MPS (pytorch#163630, #190060), where varying shapes also leak (#181213).
    """

    def __init__(self, directory: Path = SHIPPED) -> None:
        """Read the card from ``directory``, which also holds the weights.

        Raises:
            OSError, ValueError: the card is missing or invalid.
        """
        self.card = card.read(directory)
        self.buckets: Sequence[Bucket] = tuple(Bucket(size, 500) for size in MESSAGES)
        self._directory = directory

    def load(self, device: torch.device) -> None:
        """Read the weights and move them to ``device``, where each shape of the grid is tried.

        Raises:
            OSError, ValueError: the weights are missing or do not fit the card.
        """
        read = parameters.read(self._directory, len(self.card.authors))
        if read.version(self.card.authors, self.card.threshold) != self.card.version:
            raise ValueError(f"{self._directory}: weights and card are not of one version")
        self._weights = read
        self._idf = read.idf.numpy()
        self._new = novelty.never_seen(self._idf, self._training_messages)
        self._device = device
        self._padded = device.type != "cpu"
        self._table = (read.unpacked() if self._padded else read.table).to(device)
        self._bias = read.bias.to(device)
        self._temperature = read.temperature.to(device)
        if self._padded:
            self._try_grid()

    def prepare(self, texts: Sequence[str]) -> Batch:
        """Return the bags of 1 to 256 texts."""
        bags = features.count(texts)
        values = bags.values(self._idf)
        return self._pad(bags, values) if self._padded else ragged(bags, values)

    def forward(self, batch: Batch) -> torch.Tensor:
        """Return calibrated probabilities, float32, (texts, authors)."""
        return (self.logits(batch) / self._temperature).softmax(1)

    def logits(self, batch: Batch) -> torch.Tensor:
        """Return the logits before calibration, float32, (texts, authors)."""
        sums = gather_sum(self._table, batch) if self._padded else bag_sum(self._table, batch)
        return sums + self._bias

    def explain(self, text: str, author: str) -> Evidence:
        """Return what in ``text`` speaks for ``author``.

        Raises:
            ValueError: the model does not know the author.
        """
        if author not in self.card.authors:
            raise ValueError("the model does not know this author")
        return evidence.explain(self._weights, text, author, self.card.authors.index(author))

    def unseen(self, texts: Sequence[str]) -> list[float]:
        """Return for each text the share of its n-grams that training never saw."""
        return list(map(float, novelty.shares(texts, self._new)))

    @property
    def _training_messages(self) -> int:
        return int(self.card.details["data"]["training_messages"])

    def per_character(self, text: str, index: int) -> tuple[NDArray[np.float64], float]:
        """Return the share of each character, and the bias's, in an author's centred logit."""
        shares, bias = evidence.per_character(self._weights, text, index)
        temperature = self._weights.temperature.item()
        return shares * temperature, bias * temperature

    def _pad(self, bags: features.Bags, values: NDArray[np.float32]) -> Batch:
        sizes = np.diff(bags.offsets)
        shape = (_fit(MESSAGES, len(sizes)), _fit(LENGTHS, int(sizes.max())))
        filled = np.arange(shape[1]) < np.pad(sizes, (0, shape[0] - len(sizes)))[:, None]
        rows, padded = np.zeros(shape, np.int64), np.zeros(shape, np.float32)
        rows[filled], padded[filled] = bags.rows, values
        return Batch(
            torch.from_numpy(rows).to(self._device),
            torch.from_numpy(padded).to(self._device),
            torch.from_numpy(bags.offsets),
            len(sizes),
        )

    def _try_grid(self) -> None:
        nothing = torch.zeros(0, dtype=torch.int32)
        for messages in MESSAGES:
            for length in LENGTHS:
                rows = torch.zeros(messages, length, dtype=torch.int64, device=self._device)
                self.forward(Batch(rows, rows.float(), nothing, messages))


def ragged(bags: features.Bags, values: NDArray[np.float32]) -> Batch:
    """Return the batch for :func:`bag_sum`: the same memory, as tensors."""
    return Batch(
        torch.from_numpy(bags.rows),
        torch.from_numpy(values),
        torch.from_numpy(bags.offsets),
        len(bags.offsets) - 1,
    )


def bag_sum(table: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Sum ``values * table[rows]`` for each text, from 8-bit rows; float32, (texts, authors)."""
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
    """The same from a padded batch and a float32 table."""
    sums = table.new_zeros(batch.rows.shape[0], table.shape[1])
    slices = zip(batch.rows.split(LENGTHS[-1], 1), batch.values.split(LENGTHS[-1], 1), strict=True)
    for rows, values in slices:
        sums += torch.bmm(values[:, None], table[rows])[:, 0]
    return sums[: batch.texts]


def _fit(grid: Sequence[int], size: int) -> int:
    """Return the first of ``grid`` that holds ``size``, or a multiple of its last."""
    last = grid[-1]
    return next((step for step in grid if step >= size), -(-size // last) * last)
