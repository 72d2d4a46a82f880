"""The longest text of a Hugging Face model, and the shapes that batches are padded to."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from model.huggingface import HuggingFaceModel
from tests.huggingface import tiny_models


@pytest.mark.parametrize(
    ("positions", "named", "longest"),
    [
        (64, 64, 64),
        (64, 48, 48),  # the tokenizer's limit
        (64, 10**30, 64),  # transformers' number for a tokenizer without a limit
        (1000, 1000, 1000),
        (40_000, 10**30, 8192),
    ],
)
def test_longest_text_is_what_model_and_tokenizer_can_read(
    tmp_path: Path, positions: int, named: int, longest: int
) -> None:
    folder = tiny_models.bert(tmp_path / "model", max_position_embeddings=positions)
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"model_max_length": named}))
    lengths = HuggingFaceModel(folder).grid.lengths
    assert lengths[-1] == longest
    assert list(lengths) == sorted(set(lengths))
    assert all(after <= 2 * before for before, after in itertools.pairwise(lengths))


def test_model_without_any_limit_reads_512_tokens(tmp_path: Path) -> None:
    folder = tiny_models.modern_bert(tmp_path / "model", max_position_embeddings=-1)
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"model_max_length": 10**30}))
    assert HuggingFaceModel(folder).grid.lengths[-1] == 512
