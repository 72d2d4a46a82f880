"""The forward pass of a Hugging Face text classifier, and the card that Byline makes for it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from model.huggingface import folder, library
from model.huggingface.library import FolderRefused
from model.huggingface.shapes import make_grid
from model.types import Encoded, ModelCard, Padded

#: Text of the card on use and limits.
USE = (
    "Gives each message one of the labels that it was trained on: what Byline calls author is this "
    "model's label. It knows no other label."
)
#: Text of the card on the confidence.
CONFIDENCE = (
    "The softmax of the model's scores. Nobody has compared it with how often the model is right; "
    "many such models are surer than they are right."
)
#: What the folder does not say. Without these facts, the monitor has no thresholds for quality.
NOT_KNOWN = ("accuracy", "calibration", "training data", "shares of the labels in the training")


class HuggingFaceModel:
    """A classifier of the library transformers: ``AutoModelForSequenceClassification``.

    The class implements :class:`model.types.SequenceModel`. It can't explain a prediction, because
    the score of a label is not a sum of scores of the text's parts.
    """

    def __init__(self, directory: Path | None = None) -> None:
        """Reads configuration and tokenizer from ``directory``. :meth:`load` reads the weights.

        Raises:
            OSError: the folder or a file is missing.
            LibraryMissing: the library transformers is not installed.
            FolderRefused: the folder holds no model that Byline can serve.
        """
        self._directory = folder.check_files(directory)
        config = folder.read_config(self._directory)
        self._tokenizer = folder.read_tokenizer(self._directory)
        self._padding: int = self._tokenizer.pad_token_id
        self.grid = make_grid(config, self._tokenizer)
        self.card = ModelCard(
            config.architectures[0],
            folder.version(self._directory),
            folder.labels(config, self._directory),
            getattr(config, "byline_threshold", 0.0),
            _details(config, self.grid.lengths[-1]),
        )

    def load(self, device: torch.device, dtype: torch.dtype) -> None:
        """Reads the weights, converts them to ``dtype``, and moves them to ``device``.

        Raises:
            FolderRefused: transformers can't read the weights, the weights do not fit the model, or
                the tokenizer has more tokens than the weights have embeddings.
        """
        network, found = library.read(
            "AutoModelForSequenceClassification",
            self._directory,
            dtype=dtype,
            use_safetensors=True,
            ignore_mismatched_sizes=True,  # refused below, in one line
            output_loading_info=True,
        )
        self._check_weights(network, found)
        if network.config.pad_token_id is None:  # a decoder then refuses batches
            network.config.pad_token_id = self._padding
        self._network = network.eval().to(device)

    def encode(self, texts: Sequence[str]) -> Encoded:
        """Returns the tokens of each text. A longer text than the model can read is cut.

        The field ``features`` of the result is empty, because these models need none.
        """
        rows = self._tokenizer(
            list(texts),
            truncation=True,
            max_length=self.grid.lengths[-1],
            return_attention_mask=False,
            return_token_type_ids=False,
        )["input_ids"]
        # A tokenizer without special tokens may give no token for a text of unknown characters.
        tokens = [np.array(row or [self._padding], np.int64) for row in rows]
        offsets = np.r_[0, np.cumsum([len(row) for row in tokens])]
        return Encoded(np.concatenate(tokens), offsets, np.zeros((len(tokens), 0), np.float32))

    def forward(self, batch: Padded) -> torch.Tensor:
        """Returns the softmax of the model's scores: float32, shape (rows, labels)."""
        places = torch.arange(batch.tokens.shape[1], device=batch.tokens.device)
        own = places < batch.lengths[:, None]
        # Some architectures count positions, or look for the last token, by the padding's number.
        tokens = batch.tokens.masked_fill(~own, self._padding)
        scores: torch.Tensor = self._network(input_ids=tokens, attention_mask=own.long()).logits
        return scores.float().softmax(1)

    def _check_weights(self, network: Any, found: dict[str, Any]) -> None:
        """Checks that no weight is missing or has a wrong shape, and that tokens have embeddings.

        ``network`` is the loaded model. ``found`` is the report of transformers on the weights.

        Raises:
            FolderRefused: a check fails.
        """
        # transformers fills the places of missing weights with random numbers.
        wrong = {*found["missing_keys"], *(name for name, *_ in found["mismatched_keys"])}
        if wrong:
            raise FolderRefused(
                f"the weights in {self._directory} lack {', '.join(sorted(wrong)[:3])}, or have "
                "another shape: train the classifier, and write it again with save_pretrained"
            )
        vectors = network.get_input_embeddings().num_embeddings
        if len(self._tokenizer) > vectors:
            raise FolderRefused(
                f"the tokenizer in {self._directory} has {len(self._tokenizer):,} tokens, and the "
                f"model knows {vectors:,}: save the tokenizer that the model was trained with"
            )


def _details(config: Any, longest: int) -> dict[str, Any]:
    """Returns the card's ``details``: facts from the folder, and the names of unknown facts.

    ``longest`` is the length of the longest text that the model reads, in tokens.
    """
    return {
        "use": USE,
        "confidence": CONFIDENCE,
        "not_known": NOT_KNOWN,
        "model_type": config.model_type,
        "max_tokens": longest,
        "saved_with_transformers": config.transformers_version,
    }
