"""The encoder and its tokenizer: padding, pooling, attention, and the package with the weights."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

pytest.importorskip("tokenizers", reason="the extra `transformer` is not installed")

from model.transformer import encoder

TEXTS = ["We gathered at the river.", "x", "The rain fell on the roof all night, and nobody slept."]


@pytest.fixture(scope="module")
def loaded() -> encoder.Encoder:
    return encoder.load()


@pytest.fixture(scope="module")
def tokenizer() -> encoder.TextTokenizer:
    return encoder.TextTokenizer()


def batch(
    tokenizer: encoder.TextTokenizer, texts: list[str], length: int
) -> tuple[torch.Tensor, torch.Tensor]:
    tokens = torch.zeros(len(texts), length, dtype=torch.int64)
    lengths = []
    for row, text in enumerate(texts):
        found, _ = tokenizer([text])
        tokens[row, : len(found)] = torch.from_numpy(found)
        lengths.append(len(found))
    return tokens, torch.tensor(lengths)


def test_tokens_and_spans_are_those_of_bert(tokenizer: encoder.TextTokenizer) -> None:
    tokens, offsets = tokenizer(["Hello fellow citizens", "a"])
    assert tokens.tolist() == [101, 7592, 3507, 4480, 102, 101, 1037, 102]
    assert offsets.tolist() == [0, 5, 8]
    assert tokenizer.spans("Hello fellow citizens") == [(0, 0), (0, 5), (6, 12), (13, 21), (0, 0)]


def test_long_text_is_cut_at_the_limit(tokenizer: encoder.TextTokenizer) -> None:
    tokens, _ = tokenizer(["word " * 1000])
    assert len(tokens) == encoder.MAX_TOKENS


def test_padding_does_not_change_a_vector(
    loaded: encoder.Encoder, tokenizer: encoder.TextTokenizer
) -> None:
    with torch.inference_mode():
        together = loaded(*batch(tokenizer, TEXTS, 64))
        for row, text in enumerate(TEXTS):
            found, _ = tokenizer([text])
            alone = loaded(*batch(tokenizer, [text], len(found)))
            torch.testing.assert_close(together[row], alone[0], rtol=1e-4, atol=1e-5)


def test_last_layers_means_are_close_for_sentences_of_the_same_meaning(
    loaded: encoder.Encoder, tokenizer: encoder.TextTokenizer
) -> None:
    """all-MiniLM-L6-v2 was trained so that such sentences have close vectors."""
    texts = [
        "How many people live in Berlin?",
        "What is Berlin's population?",
        "I like my soup hot.",
    ]
    with torch.inference_mode():
        vectors = loaded(*batch(tokenizer, texts, 16))[:, -encoder.WIDTH :]
    vectors = functional.normalize(vectors)
    near, far = (vectors[0] @ vectors[1]).item(), (vectors[0] @ vectors[2]).item()
    assert near > 0.8
    assert far < 0.2


def test_attention_is_the_same_in_training_and_in_serving() -> None:
    torch.manual_seed(0)
    layer = encoder.Layer().eval()
    x, lengths = torch.randn(2, 7, encoder.WIDTH), torch.tensor([7, 4])
    mask = encoder.attention_mask(lengths, 7, torch.float32)
    with torch.inference_mode():
        served = layer(x, mask)
        trained = layer.train()(x, mask)
    inside = encoder.mean_weights(lengths, 7) > 0
    torch.testing.assert_close(trained[inside], served[inside], rtol=1e-4, atol=1e-5)


def test_attention_follows_the_formula_and_ignores_padding() -> None:
    """Computes the formula of Vaswani et al. 2017 for one head at a time, and compares."""
    torch.manual_seed(1)
    layer, x = encoder.Layer().eval(), torch.randn(1, 5, encoder.WIDTH)
    with torch.inference_mode():
        served = layer(x, encoder.attention_mask(torch.tensor([3]), 5, torch.float32))
        queries, keys, values = layer.attend(x[0]).split(encoder.WIDTH, 1)
        size = encoder.WIDTH // encoder.HEADS
        heads = []
        for start in range(0, encoder.WIDTH, size):
            q, k, v = (part[:, start : start + size] for part in (queries, keys[:3], values[:3]))
            heads.append((q @ k.T / math.sqrt(size)).softmax(1) @ v)
        one = layer.attend_norm(x[0] + layer.merge(torch.cat(heads, 1)))
        expected = layer.narrow_norm(one + layer.narrow(functional.gelu(layer.widen(one))))
    torch.testing.assert_close(served[0], expected, rtol=1e-4, atol=1e-5)


def test_mean_weights_sum_to_one_and_are_zero_for_padding() -> None:
    weights = encoder.mean_weights(torch.tensor([1, 3]), 4)
    assert weights.tolist() == [[1, 0, 0, 0], pytest.approx([1 / 3, 1 / 3, 1 / 3, 0])]


def test_file_with_another_hash_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(encoder.DIGESTS, "tokenizer.json", "0" * 32)
    with pytest.raises(encoder.EncoderMissing, match="not the file"):
        encoder.TextTokenizer()


def test_error_of_a_missing_package_tells_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(encoder, "PACKAGE", "no-such-package")
    with pytest.raises(encoder.EncoderMissing, match="make run MODEL=transformer"):
        encoder.load()
