"""A transformer with an attribution head, beside the n-gram model's scores, calibrated."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from model import card
from model.ngram import evidence
from model.ngram.classifier import NgramModel
from model.transformer import encoder, parameters
from model.types import Encoded, Evidence, Grid, Padded

#: The weights that come with Byline.
SHIPPED = Path(__file__).parents[1] / "weights" / "transformer"
#: What is padded to on an accelerator. Doubling the rows and stepping the lengths by 32 wastes
#: a sixth of a full batch of messages of 200 to 600 characters, and leaves 72 shapes to warm.
GRID = Grid((1, 2, 4, 8, 16, 32, 64, 128, 256), tuple(range(32, encoder.LONGEST + 1, 32)))


class TransformerModel:
    """Logits are ``scale * (head of the encoder) + ngram_scale * (the n-gram model's logits)``.

    The n-gram scores are computed on the host, together with the tokens, while the device works.
    See :class:`model.types.SequenceModel` for the protocol.
    """

    grid = GRID

    def __init__(self, directory: Path = SHIPPED) -> None:
        """Read the card from ``directory``, which also holds the weights.

        Raises:
            OSError, ValueError: the card is missing or invalid.
        """
        self.card = card.read(directory)
        self._directory = directory
        ngram = self.card.details.get("ngram")
        if ngram is None:
            raise ValueError(f"{directory} holds no transformer: its card names no n-gram model")
        self._ngram = NgramModel(directory / ngram["folder"])
        if self._ngram.card.version != ngram["version"]:
            raise ValueError(f"{directory}: its n-gram model is not of the version it names")

    def load(self, device: torch.device, dtype: torch.dtype) -> None:
        """Read the weights and move them to ``device``; only the encoder takes the ``dtype``.

        Raises:
            OSError, ValueError: the weights are missing or do not fit the card.
            EncoderMissing: the package with the encoder is not there, or is another.
        """
        read = parameters.read(self._directory, len(self.card.authors))
        version = read.version(self._ngram.card.version, self.card.authors, self.card.threshold)
        if version != self.card.version:
            raise ValueError(f"{self._directory}: weights and card are not of one version")
        tuned = encoder.load()
        try:
            unknown = tuned.load_state_dict(read.tuned, strict=False).unexpected_keys
        except RuntimeError as error:
            raise ValueError(f"{self._directory}: {error}") from error
        if unknown:
            raise ValueError(f"{self._directory}: the encoder has no {', '.join(unknown)}")
        self._encoder = tuned.to(device, dtype)
        self._head = (read.head * read.scale).to(device), (read.bias * read.scale).to(device)
        self._ngram_scale = read.ngram_scale.item()
        self._ngram.load(torch.device("cpu"))
        self._tokenizer = encoder.TextTokenizer()

    def encode(self, texts: Sequence[str]) -> Encoded:
        """Return tokens, and the n-gram model's logits as features."""
        largest = self._ngram.buckets[-1].messages
        parts = [texts[start : start + largest] for start in range(0, len(texts), largest)]
        with torch.inference_mode():
            scores = [self._ngram.logits(self._ngram.prepare(part)).numpy() for part in parts]
        return Encoded(*self._tokenizer(texts), np.concatenate(scores))

    def forward(self, batch: Padded) -> torch.Tensor:
        """Return calibrated probabilities, float32, (messages, authors)."""
        vectors = self._encoder(batch.tokens, batch.lengths)
        logits = functional.linear(vectors, *self._head) + self._ngram_scale * batch.features
        return logits.softmax(1)

    def unseen(self, texts: Sequence[str]) -> list[float]:
        """Return for each text the share of its n-grams that training never saw."""
        return self._ngram.unseen(texts)

    def explain(self, text: str, author: str) -> Evidence:
        """Return what in ``text`` speaks for ``author``.

        The head is linear in the means over the tokens, and the n-gram model in its n-grams: each
        token has its part in the score, spread over its characters, and so has each n-gram. What a
        token means comes from its neighbours, too.

        Raises:
            ValueError: the model does not know the author.
        """
        if author not in self.card.authors:
            raise ValueError("the model does not know this author")
        index = self.card.authors.index(author)
        per_character, bias = self._ngram.per_character(text, index)
        per_character, bias = per_character * self._ngram_scale, bias * self._ngram_scale
        for (start, end), part in zip(
            self._tokenizer.spans(text), self._per_token(text, index), strict=True
        ):
            if end > start:
                per_character[start:end] += part / (end - start)
            else:
                bias += part
        weights = self._head[1]
        bias += (weights[index] - weights.mean()).item()
        return evidence.of_characters(text, author, per_character, bias)

    def _per_token(self, text: str, index: int) -> list[float]:
        """Return what each token adds to the score of a class, less the mean of all classes."""
        tokens, _ = self._tokenizer([text])
        length = next(step for step in GRID.lengths if step >= len(tokens))
        rows = torch.zeros(1, length, dtype=torch.int64)
        rows[0, : len(tokens)] = torch.from_numpy(tokens)
        weight = self._head[0]
        by_layer = (weight[index] - weight.mean(0)).reshape(-1, encoder.WIDTH)
        lengths = torch.tensor([len(tokens)], device=weight.device)
        parts = torch.zeros(length, device=weight.device)
        with torch.inference_mode():
            states = self._encoder.states(rows.to(weight.device), lengths)
            for state, direction in zip(states, by_layer, strict=True):
                parts += state[0].float() @ direction
        found: list[float] = (parts[: len(tokens)] / len(tokens)).tolist()
        return found
