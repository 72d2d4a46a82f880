"""Imports the library transformers, of Byline's pip extra ``huggingface``, and keeps it offline."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import Any

from model.types import ModelRefused

#: Options of each ``from_pretrained``: it reads the folder, and downloads and runs nothing.
LOCAL = {"local_files_only": True, "trust_remote_code": False}


class FolderRefused(ModelRefused, ValueError):
    """The folder holds no Hugging Face model that Byline can serve.

    The error's text is one sentence that says what is wrong and what to do.
    """


class LibraryMissing(ImportError):
    """The library transformers is not installed."""


def transformers() -> Any:
    """Imports ``transformers``, set to open no connection and to log only errors.

    Returns the module.

    Raises:
        LibraryMissing: the library is not installed. The error's text says how to install it.
    """
    # The library's client for model hubs reads these variables when it is imported.
    os.environ["HF_HUB_OFFLINE"] = os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    try:
        library = import_module("transformers")
    except ModuleNotFoundError as error:
        raise LibraryMissing(
            f"the package {error.name} is not installed: use `make run MODEL=huggingface`, or "
            "install byline's extra `huggingface`"
        ) from error
    library.logging.set_verbosity_error()
    library.logging.disable_progress_bar()
    return library


def read(name: str, directory: Path, **options: Any) -> Any:
    """Calls ``from_pretrained`` of the class ``name`` of transformers, and returns the result.

    The call reads the folder ``directory``. It downloads nothing, and runs no code of the folder.

    Raises:
        LibraryMissing: the library is not installed.
        FolderRefused: the library can't read the folder, or would have to run the folder's code.
    """
    library = transformers()
    try:
        return getattr(library, name).from_pretrained(directory, **LOCAL, **options)
    except Exception as error:  # The library raises errors of many types for a damaged file.
        said = " ".join(str(error).split()) or type(error).__name__
        raise FolderRefused(
            f"transformers {library.__version__} can't read {directory} with {name}: save the "
            "model and its tokenizer again with save_pretrained; Byline never runs code from the "
            f"folder ({said})"
        ) from error
