"""Reads and writes the tensors of a model as a safetensors file.

To read a file, the module maps it into memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

#: Name of the file with the weights, in a model's folder.
NAME = "weights.safetensors"


def read(directory: Path) -> dict[str, torch.Tensor]:
    """Returns the tensors in the weights file of a model's folder, by name.

    Raises:
        OSError: the file does not exist, or can't be read.
        ValueError: the file is no safetensors file.
    """
    path = directory / NAME
    try:
        return dict(load_file(path))
    except SafetensorError as error:
        raise ValueError(f"{path} is not a safetensors file: {error}") from error


def check(
    directory: Path, tensors: Mapping[str, torch.Tensor], shapes: Mapping[str, tuple[int, ...]]
) -> None:
    """Checks that ``tensors`` has exactly the names and shapes of ``shapes``.

    Raises:
        ValueError: a name or a shape differs. The error's text names the tensor file in
            ``directory``.
    """
    actual = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if actual != shapes:
        raise ValueError(f"{directory / NAME} holds {actual}, expected {shapes}")


def write(directory: Path, tensors: Mapping[str, torch.Tensor], preprocessing: str) -> None:
    """Writes the tensors as the weights file into ``directory``, which must exist.

    ``preprocessing`` names the way in which texts become the model's input. The name is stored in
    the file's metadata.
    """
    save_file(dict(tensors), directory / NAME, metadata={"preprocessing": preprocessing})
    (directory / NAME).chmod(0o644)  # safetensors makes the file readable for its owner only.
