"""Checks the folder of a Hugging Face model, and reads its configuration and its tokenizer.

The user makes the folder with ``save_pretrained`` of the model and of its tokenizer. Each error's
text is one line that says what is wrong and what to do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from model.canonical import InvalidText, parse_author
from model.huggingface import library
from model.huggingface.library import FolderRefused

#: Name of the file that describes the model.
CONFIG = "config.json"
#: Patterns of the names of a tokenizer's files. One file is enough.
TOKENIZER = ("tokenizer.json", "vocab.*", "*.model", "*.bpe")
#: Patterns of the names of all files that an answer can depend on.
READ = ("*.json", "*.safetensors", "*.txt", *TOKENIZER)
#: End of the name of an architecture that classifies texts.
CLASSIFIER = "ForSequenceClassification"
#: The kind of problem that Byline serves, as transformers names it: one label for each text.
ONE_LABEL = "single_label_classification"
#: Part of every model version. Change this text with every change of the model's input or output.
PREPROCESSING = "right-padded,one-text,softmax,v1"


def check_files(directory: Path | None) -> Path:
    """Returns the folder if it has the files of a model with a tokenizer.

    Raises:
        OSError: ``directory`` is None or no folder, or a file is missing.
    """
    if directory is None:
        raise OSError(
            "it needs a folder: set BYLINE_MODEL_DIR (MODEL_DIR for make check-model) to a folder "
            "that save_pretrained has written"
        )
    if not directory.is_dir():
        raise OSError(f"there is no folder {directory}: name one that save_pretrained has written")
    if not (directory / CONFIG).is_file():
        raise OSError(f"{directory} is no model: it has no {CONFIG}; write it with save_pretrained")
    if not any(directory.glob("model*.safetensors")):
        raise OSError(
            f"{directory} has no weights in model.safetensors, and Byline reads no other format: "
            "load the model with transformers and write it again with save_pretrained"
        )
    if not any(path for pattern in TOKENIZER for path in directory.glob(pattern)):
        raise OSError(
            f"{directory} has no tokenizer: write it there with tokenizer.save_pretrained"
        )
    return directory


def read_config(directory: Path) -> Any:
    """Returns the model's configuration, a ``PretrainedConfig`` of transformers.

    Raises:
        LibraryMissing: the library transformers is not installed.
        FolderRefused: transformers can't read the file, or Byline can't serve this kind of model.
    """
    config = library.read("AutoConfig", directory)
    [architecture, *_] = config.architectures or [""]
    if not architecture.endswith(CLASSIFIER):
        raise FolderRefused(
            f"{directory / CONFIG} names the architecture {architecture or None}, which classifies "
            f"no texts: save a model of AutoModel{CLASSIFIER}"
        )
    if config.is_encoder_decoder:
        raise FolderRefused(
            f"{directory} holds {architecture}, an encoder with a decoder, which can't be batched "
            "with padding: use a model with an encoder alone, such as BERT"
        )
    _check_problem(config, directory)
    return config


def _check_problem(config: Any, directory: Path) -> None:
    """Raises FolderRefused unless the model gives each text exactly one label, by a softmax."""
    applied = getattr(config, "function_to_apply", None) or "softmax"
    problem = config.problem_type or ("regression" if config.num_labels == 1 else ONE_LABEL)
    if problem != ONE_LABEL:
        raise FolderRefused(
            f"{directory / CONFIG} has the problem type {problem}, and Byline gives each text one "
            f"label: train a model with {ONE_LABEL} and two labels or more"
        )
    if applied != "softmax":
        raise FolderRefused(
            f"{directory / CONFIG} turns scores into probabilities by {applied}, and Byline gives "
            "each text one label, by softmax: train a model with one label a text"
        )


def labels(config: Any, directory: Path) -> tuple[str, ...]:
    """Returns the model's labels, in the order of its outputs.

    Each label is in the canonical form of an author's name, so that it can equal a name in
    feedback.

    Raises:
        FolderRefused: an output has no label, or a label is blank or too long.
    """
    names = config.id2label
    if sorted(names) != list(range(len(names))):
        raise FolderRefused(
            f"{directory / CONFIG}: id2label has the numbers {sorted(names)}: number the labels "
            "from 0"
        )
    try:
        return tuple(parse_author(names[number]) for number in range(len(names)))
    except InvalidText as error:
        said = str(error).replace("author", "a label", 1)
        raise FolderRefused(f"{directory / CONFIG}: id2label: {said}: name it otherwise") from error


def read_tokenizer(directory: Path) -> Any:
    """Returns the model's tokenizer, of transformers.

    Raises:
        LibraryMissing: the library transformers is not installed.
        FolderRefused: transformers can't read the tokenizer, the tokenizer has no padding token, or
            it sets token types, which Byline does not pass on.
    """
    tokenizer = library.read("AutoTokenizer", directory)
    if tokenizer.pad_token_id is None:
        raise FolderRefused(
            f"the tokenizer in {directory} has no token for padding: set tokenizer.pad_token, and "
            "write it again with save_pretrained"
        )
    if any(tokenizer("a", return_token_type_ids=True)["token_type_ids"]):
        raise FolderRefused(
            f"the tokenizer in {directory} gives tokens of one text different types, which Byline "
            "does not pass on: use another architecture, such as BERT"
        )
    return tokenizer


def version(directory: Path) -> str:
    """Returns the model's version: ``huggingface-1-`` and 12 hex digits.

    The digits are a hash of all files that an answer can depend on: weights, tokenizer, labels,
    threshold.
    """
    digest = hashlib.blake2b(PREPROCESSING.encode(), digest_size=6)
    for path in _files(directory):
        with path.open("rb") as file:
            content = hashlib.file_digest(file, hashlib.blake2b).digest()
        digest.update(repr((path.name, content)).encode())
    return f"huggingface-1-{digest.hexdigest()}"


def _files(directory: Path) -> Sequence[Path]:
    found = {path for pattern in READ for path in directory.glob(pattern) if path.is_file()}
    return sorted(found)
