"""Training of the transformer, and of the variants that it is compared with."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import Progress, TaskID
from torch.nn import functional

from model import card
from model.ngram import parameters, training
from model.serving.device import Device, choose
from model.serving.passes import Sequences
from model.training import evaluation
from model.training.corpus import HELD_OUT_FOLD, TRAINING_FOLDS, TUNING_FOLD, Corpus
from model.training.evaluation import Floats
from model.transformer import classifier, encoder, finetune, head
from model.transformer.encoder import Encoder
from model.transformer.head import Head
from model.transformer.parameters import PREPROCESSING, TransformerWeights
from model.transformer.trial import Trial, Variant, judge
from model.types import Encoded, ModelCard

#: How many of the encoder's last layers learn, in the variants in which any do.
LAYERS = (2, encoder.LAYERS)
#: Where the n-gram model goes, in the folder of the transformer.
NGRAMS = "ngram"


class Learnt(NamedTuple):
    """What a stage of the training made, on the CPU."""

    encoder: Encoder
    head: Head


@dataclass(frozen=True)
class Workshop:
    """What all the work has in common."""

    corpus: Corpus
    #: The tokens of all its messages, in order; no features.
    encoded: Encoded
    device: Device
    #: Whether to learn in bf16, where that is faster; what is measured is in fp32.
    bf16: bool
    seed: int
    bar: Progress

    def learn(self, folds: Sequence[int], purpose: str) -> dict[int, Learnt]:
        """Return what was learnt from some folds, by the number of layers that did."""
        labels, authors = self.corpus.labels(*folds), len(self.corpus.authors)
        task = self.bar.add_task(f"{Variant(0, False)}, {purpose}", total=None)
        base = encoder.load()
        # What a head is fitted to need not be exact.
        start = head.fit(self._vectors(base, folds, self.bf16), labels, authors)
        self.bar.update(task, total=1, completed=1)
        learnt = {0: Learnt(base, start)}
        for layers in LAYERS:
            task = self.bar.add_task(f"{Variant(layers, False)}, {purpose}", total=1.0)

            def progress(share: float, task: TaskID = task) -> None:
                self.bar.update(task, completed=share)

            found = finetune.fit(
                self._part(folds),
                labels,
                start,
                layers,
                self.seed,
                self.device,
                self.bf16,
                progress,
            )
            learnt[layers] = Learnt(*found)
        return learnt

    def logits(self, learnt: Learnt, fold: int) -> Floats:
        """Return the head's logits on a fold, (messages, authors)."""
        vectors = torch.from_numpy(self._vectors(learnt.encoder, [fold]))
        logits: Floats = functional.linear(vectors, *learnt.head.folded()).double().numpy()
        return logits

    def _vectors(
        self, model: Encoder, folds: Sequence[int], bf16: bool = False
    ) -> NDArray[np.float32]:
        """Return what the encoder makes of each message, in float32, (messages, VECTOR)."""
        encoded = self._part(folds)
        found = np.zeros((len(encoded.offsets) - 1, encoder.VECTOR), np.float32)
        model.to(self.device.torch)
        planner = Sequences(lambda _: encoded, classifier.GRID, self.device)
        kind = self.device.torch.type
        with torch.inference_mode(), torch.autocast(kind, torch.bfloat16, enabled=bf16):
            for planned in planner.passes(encoded, self.device.tokens):
                batch = planned.batch()
                rows = self.device.download(model(batch.tokens, batch.lengths))()
                found[list(planned.places)] = rows[: len(planned.places)].numpy()
        model.cpu()
        return found

    def _part(self, folds: Sequence[int]) -> Encoded:
        sizes, offsets = np.diff(self.encoded.offsets), self.encoded.offsets
        chosen = [n for n, message in enumerate(self.corpus.messages) if message.fold in folds]
        tokens = [self.encoded.tokens[offsets[n] : offsets[n + 1]] for n in chosen]
        nothing = np.zeros((len(chosen), 0), np.float32)
        return Encoded(np.concatenate(tokens), np.r_[0, np.cumsum(sizes[chosen])], nothing)


def train(corpus: Corpus, out: Path, seed: int, with_baseline: bool, bar: Progress) -> ModelCard:
    """Train every variant, choose one, and write its weights and card to ``out``.

    The best on the tuning fold is chosen, among models that have not seen it; each is then trained
    on all but the held-out messages, and measured on those. An n-gram model goes into ``out``, too.
    """
    began = time.monotonic()
    torch.set_num_threads(os.cpu_count() or 1)
    shop = _workshop(corpus, seed, bar)
    ngrams = training.train(corpus, out / NGRAMS, seed, with_baseline, bar)
    trials, alone = _tried(shop)
    chosen = max(trials[1:], key=lambda trial: trial.macro_f1)  # the first has no encoder
    made = parameters.read(out / NGRAMS, len(corpus.authors))
    ngram_logits = training.logits(made, corpus.texts(HELD_OUT_FOLD))
    learnt = shop.learn(TRAINING_FOLDS, "all data")
    scores = {layers: shop.logits(found, HELD_OUT_FOLD) for layers, found in learnt.items()}
    answers = {
        str(trial.variant): evaluation.softmax(
            trial.scales.mixed(scores[trial.variant.layers or 0], ngram_logits)
        )
        for trial in trials
    }
    labels = corpus.labels(HELD_OUT_FOLD)
    details = {
        "data": corpus.description,
        **card.quality(
            answers[str(chosen.variant)],
            labels,
            corpus.authors,
            chosen.threshold,
            training.unseen(corpus, made),
        ),
        "baseline": ngrams.details["baseline"],
        "variants": [
            _ngrams_alone(ngrams, alone),
            *(trial.measured(answers[str(trial.variant)], labels) for trial in trials),
        ],
        "ngram": {"folder": _shared(out, ngrams), "version": ngrams.version},
        "use": card.USE,
        "training": _facts(chosen, shop) | card.made_with(time.monotonic() - began),
    }
    weights = _weights(chosen, learnt[chosen.variant.layers or 0])
    version = weights.version(ngrams.version, corpus.authors, chosen.threshold)
    result = ModelCard("transformer", version, corpus.authors, chosen.threshold, details)
    weights.write(out)
    card.write(result, out)
    return result


def _workshop(corpus: Corpus, seed: int, bar: Progress) -> Workshop:
    tokens, offsets = encoder.TextTokenizer()([message.text for message in corpus.messages])
    nothing = np.zeros((len(corpus.messages), 0), np.float32)
    device = choose("cuda" if torch.cuda.is_available() else "cpu")  # never tried on Metal
    encoded, bf16 = Encoded(tokens, offsets, nothing), finetune.bf16_pays(device)
    return Workshop(corpus, encoded, device, bf16, seed, bar)


def _shared(out: Path, ngrams: ModelCard) -> str:
    """Return the folder of the n-gram model, from ``out``: beside it where just that one is there.

    What comes with Byline is thus there once.
    """
    beside = out.parent / NGRAMS
    if not (beside / card.FILE).exists() or card.read(beside).version != ngrams.version:
        return NGRAMS
    shutil.rmtree(out / NGRAMS)
    return f"../{NGRAMS}"


def _tried(shop: Workshop) -> tuple[list[Trial], float]:
    """Fit each variant without the tuning fold; return how it does there, and the n-grams alone."""
    rest = [fold for fold in TRAINING_FOLDS if fold != TUNING_FOLD]
    corpus, labels = shop.corpus, shop.corpus.labels(TUNING_FOLD)
    made = training.fitted(corpus, rest, shop.seed, shop.bar, "to choose")
    ngrams = training.logits(made, corpus.texts(TUNING_FOLD))
    learnt = shop.learn(rest, "to choose")
    heads = {layers: shop.logits(found, TUNING_FOLD) for layers, found in learnt.items()}
    alone = evaluation.macro_f1(labels, ngrams.argmax(1), len(corpus.authors))
    shares = _shares(corpus, rest)
    variants = [Variant(*pair) for pair in product(heads, (False, True))]
    return [
        judge(variant, heads[variant.layers or 0], ngrams, labels, shares)
        for variant in (Variant(None, True), *variants)
    ], round(alone, 4)


def _shares(corpus: Corpus, folds: Sequence[int]) -> Floats:
    """Return each author's share of the messages, (authors,), none 0."""
    counts = np.bincount(corpus.labels(*folds), minlength=len(corpus.authors)) + 1.0
    return np.asarray(counts / counts.sum())


def _ngrams_alone(ngrams: ModelCard, tuning_macro_f1: float) -> dict[str, Any]:
    ours = ngrams.details["metrics"]
    return {
        "name": "n-grams alone",
        "tuning_macro_f1": tuning_macro_f1,
        "accuracy": ours["accuracy"],
        "macro_f1": ours["macro_f1"],
    }


def _weights(chosen: Trial, learnt: Learnt) -> TransformerWeights:
    weight, bias = learnt.head.folded()
    offset = torch.from_numpy(chosen.scales.offset / chosen.scales.head).float()
    layers = range(encoder.LAYERS - (chosen.variant.layers or 0), encoder.LAYERS)
    return TransformerWeights(
        head=weight,
        bias=bias + offset,
        scale=torch.tensor([chosen.scales.head], dtype=torch.float32),
        ngram_scale=torch.tensor([chosen.scales.ngrams], dtype=torch.float32),
        tuned={
            name: tensor.half()
            for name, tensor in learnt.encoder.state_dict().items()
            if any(name.startswith(f"layers.{layer}.") for layer in layers)
        },
    )


def _facts(chosen: Trial, shop: Workshop) -> dict[str, Any]:
    return {
        "model": f"{encoder.PACKAGE}: {chosen.variant}; means over the tokens of every layer, a "
        "linear head, balanced cross-entropy, AdamW",
        "features": PREPROCESSING,
        "epochs": finetune.EPOCHS,
        "learning_rate": finetune.LEARNING_RATE,
        "seed": shop.seed,
        "learnt_on": f"{shop.device}, {'bf16' if shop.bf16 else 'fp32'}",
        "head_scale": round(chosen.scales.head, 5),
        "ngram_scale": round(chosen.scales.ngrams, 5),
        "balance": round(chosen.scales.balance, 3),
        "calibration": "two temperatures and the threshold, from models fitted without the tuning "
        "fold; the final one is fitted on all training messages and keeps them",
        "threshold_rule": card.THRESHOLD,
    }
