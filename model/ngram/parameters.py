"""Reads, writes and packs the weights of the n-gram model, and computes their version."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from model import tensorfile
from model.ngram.features import PREPROCESSING
from model.ngram.vocabulary import BUCKETS, ROWS, Vocabulary

#: Bytes at the end of a packed row: its scale and its offset, a float32 each.
_ROW_TAIL = 8


@dataclass(frozen=True, slots=True)
class Weights:
    """The weights of the n-gram model.

    A prediction depends only on these weights and on the text's features.
    """

    #: uint8, shape (ROWS, authors + 8): 8 bits for each weight, and a scale and an offset for each
    #: row, as ``torch.ops.quantized.embedding_bag_byte_prepack`` packs them. The table takes a
    #: quarter of the memory of a float32 table.
    table: torch.Tensor
    #: float32, shape (authors,): bias of each author.
    bias: torch.Tensor
    #: float32, shape (ROWS,): weight of each row's n-gram in a text's values, which depends on the
    #: inverse document frequency; 0 for a row without an n-gram.
    row_weights: torch.Tensor
    #: The n-grams that the model knows.
    vocabulary: Vocabulary
    #: float32, shape (1,): divisor of the logits. With the shift, it makes the confidence match the
    #: accuracy.
    temperature: torch.Tensor
    #: float32, shape (1,): added to the divided logits. :class:`model.training.platt.Platt` says
    #: how these become probabilities.
    shift: torch.Tensor

    def version(self, authors: Sequence[str], threshold: float) -> str:
        """Returns the model's version: ``ngram-1-`` and 12 hex digits.

        The digits are a hash of everything that a prediction depends on: the kind of features, the
        authors, the threshold and the weights.
        """
        digest = hashlib.blake2b(digest_size=6)
        digest.update(repr((PREPROCESSING, tuple(authors), threshold)).encode())
        for tensor in self._tensors().values():
            digest.update(tensor.contiguous().numpy().data)
        return f"ngram-1-{digest.hexdigest()}"

    def unpacked(self) -> torch.Tensor:
        """Returns the table of weights as float32, shape (ROWS, authors)."""
        table: torch.Tensor = torch.ops.quantized.embedding_bag_byte_unpack(self.table)
        return table

    def rows(self, numbers: NDArray[np.int32]) -> NDArray[np.float64]:
        """Returns some rows of the table of weights as float64, shape (rows, authors).

        ``numbers`` are the indices of these rows in the table.
        """
        picked = self.table[torch.from_numpy(numbers).long()]
        unpacked: torch.Tensor = torch.ops.quantized.embedding_bag_byte_unpack(picked)
        return unpacked.double().numpy()

    def write(self, directory: Path) -> None:
        """Writes the weights as a safetensors file into ``directory``, which must exist."""
        tensorfile.write(directory, self._tensors(), PREPROCESSING)

    def _tensors(self) -> dict[str, torch.Tensor]:
        """Returns the tensors by the names that they have in the file."""
        known = self.vocabulary
        return {
            "table": self.table,
            "bias": self.bias,
            "row_weights": self.row_weights,
            # torch has few operations for uint32.
            "hashes": torch.from_numpy(known.hashes.view(np.int32)),
            "displacements": torch.from_numpy(known.displacements),
            "temperature": self.temperature,
            "shift": self.shift,
        }


def pack(table: torch.Tensor) -> torch.Tensor:
    """Packs a table of weights into 8 bits a weight.

    ``table`` is float32, shape (ROWS, authors). The result is uint8, shape (ROWS, authors + 8):
    each row ends with its scale and its offset.
    """
    packed: torch.Tensor = torch.ops.quantized.embedding_bag_byte_prepack(table)
    return packed


def read(directory: Path, authors: int) -> Weights:
    """Reads the weights from a model's folder, and maps the file into memory.

    Raises:
        OSError: the file does not exist, or can't be read.
        ValueError: the file is no safetensors file, an earlier version of Byline has trained the
            model, or a tensor's name or shape is unexpected.
    """
    tensors = tensorfile.read(directory)
    if "idf" in tensors:
        raise ValueError(
            f"{directory}: an earlier version of Byline trained this model, and this version uses "
            "other n-grams: train the model again with make train"
        )
    shapes: dict[str, tuple[int, ...]] = {
        "table": (ROWS, authors + _ROW_TAIL),
        "bias": (authors,),
        "row_weights": (ROWS,),
        "hashes": (ROWS,),
        "displacements": (BUCKETS,),
        "temperature": (1,),
        "shift": (1,),
    }
    tensorfile.check(directory, tensors, shapes)
    displacements, hashes = (tensors.pop(name).numpy() for name in ("displacements", "hashes"))
    return Weights(vocabulary=Vocabulary(displacements, hashes.view(np.uint32)), **tensors)
