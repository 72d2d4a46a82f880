"""Writes small classifiers of four architectures into folders, as ``save_pretrained`` does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import ByteLevelBPETokenizer

LABELS = ("billing", "shipping", "account")
TEXTS = [
    "My invoice shows the same amount twice.",
    "x",
    "🎉🎉🎉",
    "Ναι — 是的。 Да!",
    "The parcel is still at the depot, and nobody answers the phone. " * 50,
    "I can't log in since the password was changed.",
    "Where is my parcel?",
    "The refund has not arrived on my bank account yet, please look at it again.",
]
#: Longest text of the models, in tokens.
LONGEST = 64
#: Sizes of all models: a forward pass takes less than a millisecond.
SIZES = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
}


def bert(folder: Path, **changes: Any) -> Path:
    """Writes a BERT. ``changes`` replace fields of its configuration."""
    tokenizer = _word_pieces()
    config = transformers.BertConfig(
        vocab_size=len(tokenizer), max_position_embeddings=LONGEST, **_labels(), **SIZES
    )
    return _written(folder, config, tokenizer, changes)


def modern_bert(folder: Path, **changes: Any) -> Path:
    """Writes a ModernBERT, which has no table of positions."""
    tokenizer = _word_pieces()
    config = transformers.ModernBertConfig(
        vocab_size=len(tokenizer),
        max_position_embeddings=LONGEST,
        pad_token_id=tokenizer.pad_token_id,
        cls_token_id=tokenizer.cls_token_id,
        bos_token_id=tokenizer.cls_token_id,
        sep_token_id=tokenizer.sep_token_id,
        eos_token_id=tokenizer.sep_token_id,
        **_labels(),
        **SIZES,
    )
    return _written(folder, config, tokenizer, changes)


def _word_pieces() -> Any:
    """Returns a tokenizer with a WordPiece vocabulary: letters, and the words of the texts."""
    letters = "abcdefghijklmnopqrstuvwxyz'.,?"
    pieces = [*letters, *(f"##{one}" for one in letters)]
    words = sorted({word.strip(".,?").lower() for text in TEXTS for word in text.split()})
    names = dict.fromkeys(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *pieces, *words])
    vocabulary = {piece: number for number, piece in enumerate(names)}
    return transformers.BertTokenizer(vocab=vocabulary, model_max_length=LONGEST)


def roberta(folder: Path, **changes: Any) -> Path:
    """Writes a RoBERTa with a byte-level vocabulary, whose tokenizer names no longest text.

    The padding's number is 1, so that positions begin with 2.
    """
    vocabulary, merges = _byte_level(folder, ["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    tokenizer = transformers.RobertaTokenizer(vocab=vocabulary, merges=merges)
    config = transformers.RobertaConfig(
        vocab_size=len(tokenizer),
        max_position_embeddings=LONGEST + 2,
        **_labels(),
        **SIZES,
    )
    return _written(folder, config, tokenizer, changes)


def gpt2(folder: Path, **changes: Any) -> Path:
    """Writes a GPT-2, a decoder: the last token of a text decides. Its padding has a token."""
    vocabulary, merges = _byte_level(folder, ["<|endoftext|>", "<pad>"])
    tokenizer = transformers.GPT2Tokenizer(
        vocab=vocabulary, merges=merges, pad_token="<pad>", model_max_length=LONGEST
    )
    config = transformers.GPT2Config(
        vocab_size=len(tokenizer),
        n_positions=LONGEST,
        pad_token_id=tokenizer.pad_token_id,
        **_labels(),
        **SIZES,
    )
    return _written(folder, config, tokenizer, changes)


def _byte_level(folder: Path, special: list[str]) -> tuple[str, str]:
    """Writes a byte-level vocabulary into the folder. Returns the paths of its two files."""
    trained = ByteLevelBPETokenizer()
    trained.train_from_iterator(TEXTS, vocab_size=400, special_tokens=special)
    folder.mkdir(exist_ok=True)
    vocabulary, merges = trained.save_model(str(folder))
    return vocabulary, merges


def _labels() -> dict[str, Any]:
    return {"id2label": dict(enumerate(LABELS)), "label2id": {n: i for i, n in enumerate(LABELS)}}


def _written(folder: Path, config: Any, tokenizer: Any, changes: dict[str, Any]) -> Path:
    for name, value in changes.items():
        setattr(config, name, value)
    torch.manual_seed(0)
    torch.set_num_threads(1)  # on a busy machine, two threads wait for each other
    model = transformers.AutoModelForSequenceClassification.from_config(config)
    if config.num_labels == len(LABELS):
        _train(model, tokenizer)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _train(model: Any, tokenizer: Any) -> None:
    """Teaches the model different labels for the texts. Random weights give all texts one label."""
    batch = tokenizer(TEXTS, truncation=True, max_length=LONGEST, padding=True, return_tensors="pt")
    labels = torch.arange(len(TEXTS)) % len(LABELS)
    optimizer = torch.optim.Adam(model.eval().parameters(), 0.003)  # eval: without dropout
    for _ in range(100):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(**batch).logits, labels).backward()
        optimizer.step()


def add_token(folder: Path, token: str) -> None:
    """Adds a token to the tokenizer in a folder, which the model then has no vector for."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    tokenizer.add_tokens([token])
    tokenizer.save_pretrained(folder)


def pipeline(folder: Path) -> list[dict[str, float]]:
    """Returns the scores that transformers' own pipeline gives to the labels of each text."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    classify = transformers.pipeline(
        "text-classification",
        model=transformers.AutoModelForSequenceClassification.from_pretrained(folder),
        tokenizer=tokenizer,
        top_k=None,
        device="cpu",
    )
    scores = classify(TEXTS, truncation=True, max_length=LONGEST)
    return [{one["label"]: one["score"] for one in text} for text in scores]
