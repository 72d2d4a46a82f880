"""The trained numbers of the transformer: on disk, in memory, and their version."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import torch

from model import tensorfile
from model.transformer.encoder import DIGESTS, LONGEST, VECTOR

#: Part of every version. Change it with anything that changes what the encoder is given.
PREPROCESSING = f"minilm-l6-v2,tokens{LONGEST},means,v1"
#: How the names of the encoder's own tensors begin in the file.
_TUNED = "encoder."


@dataclass(frozen=True, slots=True)
class TransformerWeights:
    """All that the model's answer depends on, besides the package's encoder and the n-grams."""

    #: float32, (authors, VECTOR), and (authors,).
    head: torch.Tensor
    bias: torch.Tensor
    #: float32, (1,): what the head's logits, and the n-gram model's, are multiplied by.
    scale: torch.Tensor
    ngram_scale: torch.Tensor
    #: Tensors that take the place of the package's, by their names in
    #: :class:`~model.transformer.encoder.Encoder`. float16: half the size, and as exact as
    #: bfloat16 serving.
    tuned: dict[str, torch.Tensor]

    def version(self, ngram: str, authors: Sequence[str], threshold: float) -> str:
        """Return ``transformer-1-`` and 12 hex digits: any change that may change an answer shows.

        ``ngram`` is the version of the n-gram model.
        """
        digest = hashlib.blake2b(digest_size=6)
        digest.update(repr((PREPROCESSING, DIGESTS, ngram, tuple(authors), threshold)).encode())
        for name, tensor in sorted(self._tensors().items()):
            digest.update(name.encode())
            digest.update(tensor.numpy().tobytes())
        return f"transformer-1-{digest.hexdigest()}"

    def write(self, directory: Path) -> None:
        """Write the weights into ``directory``, which exists."""
        tensorfile.write(directory, self._tensors(), PREPROCESSING)

    def _tensors(self) -> dict[str, torch.Tensor]:
        own = {name: getattr(self, name) for name in _OWN}
        return own | {_TUNED + name: tensor for name, tensor in self.tuned.items()}


_OWN = tuple(field.name for field in fields(TransformerWeights) if field.name != "tuned")


def read(directory: Path, authors: int) -> TransformerWeights:
    """Read the weights of a model of so many authors.

    Raises:
        OSError: there is no such file, or it can't be read.
        ValueError: it is no safetensors file, or its shapes are not the model's.
    """
    tensors = tensorfile.read(directory)
    tuned = {
        name.removeprefix(_TUNED): tensors.pop(name)
        for name in tuple(tensors)
        if name.startswith(_TUNED)
    }
    shapes: dict[str, tuple[int, ...]] = {
        "head": (authors, VECTOR),
        "bias": (authors,),
        "scale": (1,),
        "ngram_scale": (1,),
    }
    tensorfile.check(directory, tensors, shapes)
    return TransformerWeights(**tensors, tuned=tuned)
