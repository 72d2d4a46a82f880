"""Trains the transformer: compares variants, chooses the best, and writes its weights and card."""

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
from model.linear import balance
from model.ngram import training
from model.serving.device import Device, choose
from model.serving.passes import SequencePlanner
from model.training import evaluation
from model.training.corpus import HELD_OUT_FOLD, TRAINING_FOLDS, TUNING_FOLD, Corpus
from model.training.evaluation import Floats
from model.transformer import classifier, encoder, finetune, head
from model.transformer.encoder import Encoder
from model.transformer.head import Head
from model.transformer.parameters import PREPROCESSING, TransformerWeights
from model.transformer.trial import Trial, Variant, run_trial
from model.types import Encoded, ModelCard

#: Numbers of fine-tuned layers, in the variants that fine-tune the encoder. To fine-tune only the
#: last two layers took half as long again in all, and was worse on the presidents' messages.
LAYERS = (encoder.LAYERS,)
#: Name of the n-gram model's folder, within or beside the transformer's folder.
NGRAM_FOLDER = "ngram"


class FittedEncoder(NamedTuple):
    """An encoder and its fitted head. The tensors of both are on the CPU."""

    encoder: Encoder
    head: Head


@dataclass(frozen=True)
class Trainer:
    """Fits encoders to folds of a corpus, on one device."""

    corpus: Corpus
    #: The tokens of all messages of the corpus, in order, without features.
    encoded: Encoded
    device: Device
    #: Whether to train in bf16, because it is faster. All measurements use fp32.
    bf16: bool
    seed: int
    progress: Progress

    def fit(self, folds: Sequence[int], purpose: str) -> dict[int, FittedEncoder]:
        """Fits encoders and their heads to the messages in ``folds``.

        A key of the result is how many layers are fine-tuned: with the key 0, only a head is
        fitted. The progress bars show ``purpose``.
        """
        labels, authors = self.corpus.labels(*folds), len(self.corpus.authors)
        task = self.progress.add_task(f"{Variant(0, False)}, {purpose}", total=None)
        base = encoder.load()
        # A head can be fitted to vectors that are not exact.
        initial_head = head.fit(self._vectors(base, folds, self.bf16), labels, authors)
        self.progress.update(task, total=1, completed=1)
        fitted = {0: FittedEncoder(base, initial_head)}
        for layers in LAYERS:
            task = self.progress.add_task(f"{Variant(layers, False)}, {purpose}", total=1.0)

            def on_progress(share: float, task: TaskID = task) -> None:
                self.progress.update(task, completed=share)

            found = finetune.fit(
                self._part(folds),
                labels,
                initial_head,
                layers,
                self.seed,
                self.device,
                self.bf16,
                on_progress,
            )
            fitted[layers] = FittedEncoder(*found)
        return fitted

    def logits(self, fitted: FittedEncoder, fold: int) -> Floats:
        """Returns the head's logits for the messages in ``fold``, shape (messages, authors)."""
        vectors = torch.from_numpy(self._vectors(fitted.encoder, [fold]))
        logits: Floats = functional.linear(vectors, *fitted.head.folded()).double().numpy()
        return logits

    def _vectors(
        self, model: Encoder, folds: Sequence[int], bf16: bool = False
    ) -> NDArray[np.float32]:
        """Returns the encoder's vector of each message in ``folds``, shape (messages, VECTOR)."""
        encoded = self._part(folds)
        found = np.zeros((len(encoded.offsets) - 1, encoder.VECTOR), np.float32)
        model.to(self.device.torch)
        planner = SequencePlanner(lambda _: encoded, classifier.GRID, self.device)
        kind = self.device.torch.type
        with torch.inference_mode(), torch.autocast(kind, torch.bfloat16, enabled=bf16):
            for planned in planner.passes(encoded, self.device.tokens):
                batch = planned.batch()
                rows = self.device.download(model(batch.tokens, batch.lengths))()
                found[list(planned.indices)] = rows[: len(planned.indices)].numpy()
        model.cpu()
        return found

    def _part(self, folds: Sequence[int]) -> Encoded:
        """Returns the tokens of the messages in ``folds``."""
        sizes, offsets = np.diff(self.encoded.offsets), self.encoded.offsets
        chosen = [n for n, message in enumerate(self.corpus.messages) if message.fold in folds]
        tokens = [self.encoded.tokens[offsets[n] : offsets[n + 1]] for n in chosen]
        no_features = np.zeros((len(chosen), 0), np.float32)
        return Encoded(np.concatenate(tokens), np.r_[0, np.cumsum(sizes[chosen])], no_features)


def check(corpus: Corpus) -> None:
    """Checks that there is enough memory to train the n-gram model, which is trained first.

    Raises:
        DataError: the n-gram model has too many n-grams, or its training needs too much memory.
    """
    training.check(corpus)


def train(corpus: Corpus, out: Path, seed: int, progress: Progress) -> ModelCard:
    """Trains all variants, writes the best variant into ``out``, and returns its card.

    Of the variants with an encoder, the best has the highest macro-F1 on the tuning fold. The
    n-gram model is also written into ``out`` if no folder beside ``out`` holds it.
    """
    began = time.monotonic()
    torch.set_num_threads(os.cpu_count() or 1)
    trainer = _trainer(corpus, seed, progress)
    ngrams, ngram_weights, tuning_logits = training.train_model(
        corpus, out / NGRAM_FOLDER, progress
    )
    trials, ngrams_macro_f1 = _trials(trainer, tuning_logits)
    # The first trial has no encoder, only the n-gram model: it is for comparison.
    chosen = max(trials[1:], key=lambda trial: trial.macro_f1)
    ngram_logits = training.logits(ngram_weights, corpus.texts(HELD_OUT_FOLD))
    # All encoders are fitted again, to all training messages. The held-out messages measure them.
    fitted = trainer.fit(TRAINING_FOLDS, "all data")
    scores = {layers: trainer.logits(found, HELD_OUT_FOLD) for layers, found in fitted.items()}
    probabilities = {
        str(trial.variant): evaluation.softmax(
            trial.scales.mixed(scores[trial.variant.layers or 0], ngram_logits)
        )
        for trial in trials
    }
    labels = corpus.labels(HELD_OUT_FOLD)
    details = {
        "data": corpus.description,
        **card.quality_details(
            probabilities[str(chosen.variant)],
            labels,
            corpus.authors,
            chosen.threshold,
            training.unseen(corpus, ngram_weights),
        ),
        "baseline": ngrams.details["baseline"],
        "variants": [
            _ngrams_alone(ngrams, ngrams_macro_f1),
            *(trial.measured(probabilities[str(trial.variant)], labels) for trial in trials),
        ],
        "ngram": {"folder": _ngram_folder(out, ngrams), "version": ngrams.version},
        "use": card.USE,
        "training": _facts(chosen, trainer) | card.training_environment(time.monotonic() - began),
    }
    weights = _weights(chosen, fitted[chosen.variant.layers or 0])
    version = weights.version(ngrams.version, corpus.authors, chosen.threshold)
    result = ModelCard("transformer", version, corpus.authors, chosen.threshold, details)
    weights.write(out)
    card.write(result, out)
    return result


def _trainer(corpus: Corpus, seed: int, progress: Progress) -> Trainer:
    """Returns a trainer on a CUDA GPU if there is one, else on the CPU.

    The trainer does not use Metal, because nobody has tried a training there yet.
    """
    tokens, offsets = encoder.TextTokenizer()([message.text for message in corpus.messages])
    no_features = np.zeros((len(corpus.messages), 0), np.float32)
    device = choose("cuda" if torch.cuda.is_available() else "cpu")
    encoded, bf16 = Encoded(tokens, offsets, no_features), finetune.bf16_is_faster(device)
    return Trainer(corpus, encoded, device, bf16, seed, progress)


def _ngram_folder(out: Path, ngrams: ModelCard) -> str:
    """Returns the path of the n-gram model's folder, relative to the transformer's folder ``out``.

    If a folder beside ``out`` holds the same n-gram model, the transformer shares that folder, and
    this function deletes the copy within ``out``.
    """
    beside = out.parent / NGRAM_FOLDER
    if not (beside / card.JSON_FILE).exists() or card.read(beside).version != ngrams.version:
        return NGRAM_FOLDER
    shutil.rmtree(out / NGRAM_FOLDER)
    return f"../{NGRAM_FOLDER}"


def _trials(trainer: Trainer, ngrams: Floats) -> tuple[list[Trial], float]:
    """Fits each variant without the tuning fold, and measures it on the tuning fold.

    ``ngrams`` has the n-gram model's logits for the tuning fold, from a fit without this fold.
    Returns all trials, first the trial without an encoder, and the macro-F1 of ``ngrams`` before
    calibration.
    """
    rest = [fold for fold in TRAINING_FOLDS if fold != TUNING_FOLD]
    corpus, labels = trainer.corpus, trainer.corpus.labels(TUNING_FOLD)
    fitted = trainer.fit(rest, "selection")
    heads = {layers: trainer.logits(found, TUNING_FOLD) for layers, found in fitted.items()}
    alone = evaluation.macro_f1(labels, ngrams.argmax(1), len(corpus.authors))
    shares = balance.shares(corpus.labels(*rest), len(corpus.authors))
    variants = [Variant(*pair) for pair in product(heads, (False, True))]
    return [
        run_trial(variant, heads[variant.layers or 0], ngrams, labels, shares)
        for variant in (Variant(None, True), *variants)  # the first only calibrates `ngrams`
    ], round(alone, 4)


def _ngrams_alone(ngrams: ModelCard, tuning_macro_f1: float) -> dict[str, Any]:
    """Returns the row about the n-gram model alone, for the card's table of variants."""
    ours = ngrams.details["metrics"]
    return {
        "name": "n-grams alone",
        "tuning_macro_f1": tuning_macro_f1,
        "accuracy": ours["accuracy"],
        "macro_f1": ours["macro_f1"],
    }


def _weights(chosen: Trial, fitted: FittedEncoder) -> TransformerWeights:
    """Returns the weights to serve: the head, two scales, and the fine-tuned layers."""
    weight, bias = fitted.head.folded()
    offset = torch.from_numpy(chosen.scales.offset / chosen.scales.head).float()
    layers = range(encoder.LAYERS - (chosen.variant.layers or 0), encoder.LAYERS)
    return TransformerWeights(
        head=weight,
        bias=bias + offset,
        scale=torch.tensor([chosen.scales.head], dtype=torch.float32),
        ngram_scale=torch.tensor([chosen.scales.ngrams], dtype=torch.float32),
        tuned={
            name: tensor.half()
            for name, tensor in fitted.encoder.state_dict().items()
            if any(name.startswith(f"layers.{layer}.") for layer in layers)
        },
    )


def _facts(chosen: Trial, trainer: Trainer) -> dict[str, Any]:
    """Returns the fields of the model card's section on training."""
    return {
        "model": f"{encoder.PACKAGE}: {chosen.variant}; means over the tokens of every layer, a "
        "linear head, balanced cross-entropy, AdamW",
        "features": PREPROCESSING,
        "epochs": finetune.EPOCHS,
        "learning_rate": finetune.LEARNING_RATE,
        "seed": trainer.seed,
        "learnt_on": f"{trainer.device}, {'bf16' if trainer.bf16 else 'fp32'}",
        "head_scale": round(chosen.scales.head, 5),
        "ngram_scale": round(chosen.scales.ngrams, 5),
        "balance": round(chosen.scales.balance, 3),
        "calibration": "two temperatures and the threshold, from models fitted without the tuning "
        "fold; the final model is fitted on all training messages and keeps them",
        "threshold_rule": card.THRESHOLD,
    }
