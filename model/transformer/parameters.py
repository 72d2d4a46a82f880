"""Reads and writes the weights of the transformer, and computes their version."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import torch

from model import tensorfile
from model.transformer.encoder import DIGESTS, MAX_TOKENS, VECTOR

#: Part of every model version. Change this text with every change of the encoder's input.
PREPROCESSING = f"minilm-l6-v2,tokens{MAX_TOKENS},means,v1"
#: Prefix of the names of the encoder's tensors in the file.
_TUNED = "encoder."


@dataclass(frozen=True, slots=True)
class TransformerWeights:
    """The weights that training has fitted: the head, two scales, and the fine-tuned layers.

    A prediction also depends on the n-gram model, and on the layers that are not fine-tuned. The
    weights of these layers are in the encoder's package.
    """

    #: float32, shape (authors, VECTOR): weights of the linear head.
    head: torch.Tensor
    #: float32, shape (authors,): bias of the linear head.
    bias: torch.Tensor
    #: float32, shape (1,): factor of the head's logits.
    scale: torch.Tensor
    #: float32, shape (1,): factor of the n-gram model's logits.
    ngram_scale: torch.Tensor
    #: Fine-tuned tensors that replace the package's, by their names in
    #: :class:`~model.transformer.encoder.Encoder`. They are float16, which has half the
    #: size of float32, and is more exact than bfloat16, in which a worker may serve them.
    tuned: dict[str, torch.Tensor]

    def version(self, ngram: str, authors: Sequence[str], threshold: float) -> str:
        """Returns the model's version: ``transformer-1-`` and 12 hex digits.

        The digits are a hash of everything that a prediction depends on. ``ngram`` is the version
        of the n-gram model.
        """
        digest = hashlib.blake2b(digest_size=6)
        digest.update(repr((PREPROCESSING, DIGESTS, ngram, tuple(authors), threshold)).encode())
        for name, tensor in sorted(self._tensors().items()):
            digest.update(name.encode())
            digest.update(tensor.numpy().tobytes())
        return f"transformer-1-{digest.hexdigest()}"

    def write(self, directory: Path) -> None:
        """Writes the weights as a safetensors file into ``directory``, which must exist."""
        tensorfile.write(directory, self._tensors(), PREPROCESSING)

    def _tensors(self) -> dict[str, torch.Tensor]:
        """Returns all tensors, by the names that they have in the file."""
        own = {name: getattr(self, name) for name in _OWN}
        return own | {_TUNED + name: tensor for name, tensor in self.tuned.items()}


#: Names of the tensors that do not belong to the encoder.
_OWN = tuple(field.name for field in fields(TransformerWeights) if field.name != "tuned")


def read(directory: Path, authors: int) -> TransformerWeights:
    """Reads the weights from a model's folder.

    ``authors`` is the model's number of authors.

    Raises:
        OSError: the file does not exist, or can't be read.
        ValueError: the file is no safetensors file, or a tensor has another shape than expected.
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
