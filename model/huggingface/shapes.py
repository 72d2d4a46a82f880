"""Finds the longest text that a Hugging Face model reads, and the shapes of the model's batches."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from model.huggingface import library
from model.types import Grid

#: Numbers of rows that a batch is padded to on a GPU.
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
#: Up to :data:`FINE` tokens, lengths grow by this number of tokens; then they double.
STEP = 32
#: See :data:`STEP`.
FINE = 512
#: Longest text, in tokens, if neither the model nor the tokenizer names a limit.
UNLIMITED = 512
#: Longest text of any model, in tokens. The attention's work grows with the square of the length.
MAX_TOKENS = 8192


def make_grid(config: Any, tokenizer: Any) -> Grid:
    """Returns the shapes to which the batches of a Hugging Face model are padded.

    ``config`` and ``tokenizer`` are those of the model. The last length of the grid is the longest
    text that both of them allow, in tokens.
    """
    longest = min(tokenizer.model_max_length, _positions(config), MAX_TOKENS)
    lengths = [*range(STEP, FINE + 1, STEP)]
    while lengths[-1] < longest:
        lengths.append(2 * lengths[-1])
    return Grid(ROWS, (*(length for length in lengths if length < longest), longest))


def _positions(config: Any) -> int:
    """Returns the largest number of tokens of a text for which the model has position embeddings.

    In RoBERTa and its relatives, texts never use the first few position embeddings. Only the
    embedding table of the network shows how many. So the network is built, on torch's device
    ``meta``, where it needs no memory. If it has no such table, the configuration decides.
    """
    with torch.device("meta"):
        network = library.transformers().AutoModelForSequenceClassification.from_config(config)
    for name, part in network.named_modules():
        if name.endswith("position_embeddings") and isinstance(part, nn.Embedding):
            return part.num_embeddings - (0 if part.padding_idx is None else part.padding_idx + 1)
    positions: int | None = getattr(config, "max_position_embeddings", None)
    # XLNet has -1 here, for no limit.
    return positions if positions and positions > 0 else UNLIMITED
