"""The trained numbers of the n-gram model: on disk, in memory, and their version."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from model import tensorfile
from model.ngram.features import PREPROCESSING, ROWS

#: A packed row ends with its scale and offset, a float32 each.
_ROW_TAIL = 8


@dataclass(frozen=True, slots=True)
class Weights:
    """All that the model's answer depends on, besides the features."""

    #: uint8, (ROWS, authors + 8): 8 bits a weight, each row with a scale and an offset of its
    #: own, as ``torch.ops.quantized.embedding_bag_byte_prepack`` packs it. A quarter of float32.
    table: torch.Tensor
    #: float32, (authors,)
    bias: torch.Tensor
    #: float32, (ROWS,): inverse document frequency of each row.
    idf: torch.Tensor
    #: float32, (1,): what the logits are divided by so that confidence means accuracy.
    temperature: torch.Tensor

    def version(self, authors: Sequence[str], threshold: float) -> str:
        """Return ``ngram-1-`` and 12 hex digits: any change that may change an answer shows."""
        digest = hashlib.blake2b(digest_size=6)
        digest.update(repr((PREPROCESSING, tuple(authors), threshold)).encode())
        for field in fields(self):
            digest.update(getattr(self, field.name).numpy().tobytes())
        return f"ngram-1-{digest.hexdigest()}"

    def unpacked(self) -> torch.Tensor:
        """Return the table as float32, (ROWS, authors)."""
        table: torch.Tensor = torch.ops.quantized.embedding_bag_byte_unpack(self.table)
        return table

    def rows(self, numbers: NDArray[np.int32]) -> NDArray[np.float64]:
        """Return some rows of the table as float64, (numbers, authors)."""
        picked = self.table[torch.from_numpy(numbers).long()]
        unpacked: torch.Tensor = torch.ops.quantized.embedding_bag_byte_unpack(picked)
        return unpacked.double().numpy()

    def write(self, directory: Path) -> None:
        """Write the weights into ``directory``, which exists."""
        tensors = {field.name: getattr(self, field.name) for field in fields(self)}
        tensorfile.write(directory, tensors, PREPROCESSING)


def pack(table: torch.Tensor) -> torch.Tensor:
    """Return float32 (ROWS, authors) as uint8 (ROWS, authors + 8)."""
    packed: torch.Tensor = torch.ops.quantized.embedding_bag_byte_prepack(table)
    return packed


def read(directory: Path, authors: int) -> Weights:
    """Read the weights of a model of so many authors. The file is mapped, not copied.

    Raises:
        OSError: there is no such file, or it can't be read.
        ValueError: it is no safetensors file, or its shapes are not the model's.
    """
    tensors = tensorfile.read(directory)
    shapes: dict[str, tuple[int, ...]] = {
        "table": (ROWS, authors + _ROW_TAIL),
        "bias": (authors,),
        "idf": (ROWS,),
        "temperature": (1,),
    }
    tensorfile.check(directory, tensors, shapes)
    return Weights(**tensors)
