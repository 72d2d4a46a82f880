"""The forward pass of the transformer: an encoder, a linear head, and the n-gram model's logits."""

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

#: The folder of the weights that come with Byline.
SHIPPED = Path(__file__).parents[1] / "weights" / "transformer"
#: The shapes that batches are padded to on a GPU: rows double, and lengths grow by 32 tokens. A
#: sixth of a full batch of messages of 200 to 600 characters is then padding. The worker runs these
#: 72 shapes before it reports ready.
GRID = Grid((1, 2, 4, 8, 16, 32, 64, 128, 256), tuple(range(32, encoder.MAX_TOKENS + 1, 32)))


class TransformerModel:
    """A classifier that adds the logits of a BERT encoder's linear head and of the n-gram model.

    The class implements :class:`model.types.SequenceModel`. The sum is ``scale * (the head's
    logits) + ngram_scale * (the n-gram model's logits)``.
    """

    grid = GRID

    def __init__(self, directory: Path = SHIPPED) -> None:
        """Reads the model card from ``directory``. :meth:`load` reads the weights from there.

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
        """Reads the weights and moves them to ``device``. Only the encoder is cast to ``dtype``.

        Raises:
            OSError, ValueError: the weights are missing or do not fit the model card.
            EncoderMissing: the encoder's package is not installed, or has unexpected files.
        """
        weights = parameters.read(self._directory, len(self.card.authors))
        version = weights.version(self._ngram.card.version, self.card.authors, self.card.threshold)
        if version != self.card.version:
            raise ValueError(f"{self._directory}: weights and card are not of one version")
        tuned = encoder.load()
        try:
            unknown = tuned.load_state_dict(weights.tuned, strict=False).unexpected_keys
        except RuntimeError as error:
            raise ValueError(f"{self._directory}: {error}") from error
        if unknown:
            raise ValueError(f"{self._directory}: the encoder has no {', '.join(unknown)}")
        self._encoder = tuned.to(device, dtype)
        scale = weights.scale
        self._head = (weights.head * scale).to(device), (weights.bias * scale).to(device)
        self._ngram_scale = weights.ngram_scale.item()
        self._ngram.load(torch.device("cpu"))
        self._tokenizer = encoder.TextTokenizer()

    def encode(self, texts: Sequence[str]) -> Encoded:
        """Returns each text's tokens and features. The features are the n-gram model's logits."""
        largest = self._ngram.buckets[-1].messages
        parts = [texts[start : start + largest] for start in range(0, len(texts), largest)]
        with torch.inference_mode():
            scores = [self._ngram.logits(self._ngram.prepare(part)).numpy() for part in parts]
        return Encoded(*self._tokenizer(texts), np.concatenate(scores))

    def forward(self, batch: Padded) -> torch.Tensor:
        """Returns calibrated probabilities: float32, shape (rows, authors)."""
        vectors = self._encoder(batch.tokens, batch.lengths)
        logits = functional.linear(vectors, *self._head) + self._ngram_scale * batch.features
        return logits.softmax(1)

    def unseen(self, texts: Sequence[str]) -> list[float]:
        """Returns, for each text, the share of its n-grams that training never saw, 0 to 1."""
        return self._ngram.unseen(texts)

    def explain(self, text: str, author: str) -> Evidence:
        """Returns the parts of ``text`` that speak most for and against ``author``.

        Each token and each n-gram adds a term to the author's score. The term is spread over the
        characters of the token or n-gram. A token's term depends on all tokens of the text.

        Raises:
            ValueError: the model does not know the author.
        """
        if author not in self.card.authors:
            raise ValueError("the model does not know this author")
        index = self.card.authors.index(author)
        # The score is a sum of terms, because the head is linear in the encoder's vector (means
        # over the tokens), and the n-gram model is linear in its n-grams. The encoder reads all
        # tokens of a text together, so a token's term depends on the other tokens.
        scores, bias = self._ngram.character_scores(text, index)
        scores, bias = scores * self._ngram_scale, bias * self._ngram_scale
        for (start, end), added in zip(
            self._tokenizer.spans(text), self._token_scores(text, index), strict=True
        ):
            if end > start:
                scores[start:end] += added / (end - start)
            else:
                bias += added
        head_bias = self._head[1]
        bias += (head_bias[index] - head_bias.mean()).item()
        return evidence.from_characters(text, author, scores, bias)

    def _token_scores(self, text: str, index: int) -> list[float]:
        """Returns how much each token of ``text`` adds to an author's score.

        The score is the author's logit minus the mean logit of all authors. ``index`` is the
        author's index in the card.
        """
        tokens, _ = self._tokenizer([text])
        length = next(step for step in GRID.lengths if step >= len(tokens))
        rows = torch.zeros(1, length, dtype=torch.int64)
        rows[0, : len(tokens)] = torch.from_numpy(tokens)
        weight = self._head[0]
        by_layer = (weight[index] - weight.mean(0)).reshape(-1, encoder.WIDTH)
        lengths = torch.tensor([len(tokens)], device=weight.device)
        scores = torch.zeros(length, device=weight.device)
        with torch.inference_mode():
            states = self._encoder.states(rows.to(weight.device), lengths)
            for state, direction in zip(states, by_layer, strict=True):
                scores += state[0].float() @ direction
        found: list[float] = (scores[: len(tokens)] / len(tokens)).tolist()
        return found
