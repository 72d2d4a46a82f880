"""Tensors on disk, as safetensors: mapped when read, not copied."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

#: The file of a model's weights, in its folder.
NAME = "weights.safetensors"


def read(directory: Path) -> dict[str, torch.Tensor]:
    """Return the tensors of a model's folder by name.

    Raises:
        OSError: there is no such file, or it can't be read.
        ValueError: it is no safetensors file.
    """
    path = directory / NAME
    try:
        return dict(load_file(path))
    except SafetensorError as error:
        raise ValueError(f"{path} is not a safetensors file: {error}") from error


def check(
    directory: Path, tensors: Mapping[str, torch.Tensor], shapes: Mapping[str, tuple[int, ...]]
) -> None:
    """See that the tensors read are those that are wanted.

    Raises:
        ValueError: they are not.
    """
    actual = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if actual != shapes:
        raise ValueError(f"{directory / NAME} holds {actual}, expected {shapes}")


def write(directory: Path, tensors: Mapping[str, torch.Tensor], preprocessing: str) -> None:
    """Write tensors into a folder, which exists."""
    save_file(dict(tensors), directory / NAME, metadata={"preprocessing": preprocessing})
    (directory / NAME).chmod(0o644)  # safetensors lets nobody else read it
