"""``make train``: from labelled messages to weights, a card, and a comparison."""

from __future__ import annotations

import argparse
import platform
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from model import baseline, card, features, metrics, ngram, parameters
from model.corpus import (
    HELD_OUT_FOLD,
    LEAST_DOCUMENTS,
    TUNING_FOLD,
    Corpus,
    Message,
    load_file,
    load_sotu,
)
from model.datafile import DataError
from model.fit import EPOCHS, LEARNING_RATE, Linear, bags_of, fit
from model.types import ModelCard

#: Where a model of one's own goes, unless told otherwise.
OWN = Path(".byline/models/ngram")


def main(arguments: Sequence[str] | None = None) -> int:
    """Train as the command line says; return the exit status: 2 where the data won't do."""
    options = _options(arguments)
    out = options.out or (OWN if options.data else ngram.SHIPPED)
    console = Console()
    try:
        corpus = load_file(options.data) if options.data else load_sotu()
        _tell_left_out(corpus, console)
        trained = train(corpus, out, options.seed, options.baseline, console)
    except DataError as error:
        sys.stderr.write(f"train: {error}\n")
        return 2
    console.print(_comparison(trained))
    console.print(f"{trained.version}, written to {out}")
    return 0


def train(corpus: Corpus, out: Path, seed: int, with_baseline: bool, console: Console) -> ModelCard:
    """Fit, calibrate, measure on the held-out messages, and write weights and card to ``out``."""
    began = time.monotonic()
    everything = [fold for fold in range(5) if fold != HELD_OUT_FOLD]
    with Progress(
        TextColumn("{task.description:<24}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        console=console,
    ) as bar:
        divisor, cutoff = _calibrated(corpus, everything, seed, bar)
        linear = _fitted(corpus, everything, seed, bar, "all training data")
    made = parameters.Weights(
        parameters.pack(linear.table),
        linear.bias,
        torch.from_numpy(linear.idf),
        torch.tensor([divisor], dtype=torch.float32),
    )
    compared: dict[str, Any] = {}
    fitting_s = time.monotonic() - began
    if with_baseline:
        with console.status("baseline: LinearSVC"):
            compared = {"name": baseline.NAME, **_baseline(corpus, everything, seed)}
    held_out = corpus.part(HELD_OUT_FOLD)
    details = {
        "data": corpus.description,
        **card.quality(
            probabilities(made, [message.text for message in held_out]),
            _labels(corpus, held_out),
            corpus.authors,
            cutoff,
        ),
        "baseline": compared,
        "use": card.USE,
        "training": _training(seed, divisor, fitting_s),
    }
    version = made.version(corpus.authors, cutoff)
    result = ModelCard("hashed n-grams", version, corpus.authors, cutoff, details)
    out.mkdir(parents=True, exist_ok=True)
    made.write(out)
    card.write(result, out)
    return result


def _tell_left_out(corpus: Corpus, console: Console) -> None:
    if left_out := corpus.description["authors_left_out"]:
        console.print(
            f"{left_out} of {left_out + len(corpus.authors)} authors are left out: they have "
            f"fewer than {LEAST_DOCUMENTS} documents"
        )


def logits(made: parameters.Weights, texts: Sequence[str]) -> NDArray[np.float64]:
    """Return the logits before calibration, as the served model computes them on the CPU."""
    idf, rows = made.idf.numpy(), []
    for start in range(0, len(texts), ngram.MESSAGES[-1]):
        bags = features.count(texts[start : start + ngram.MESSAGES[-1]])
        batch = ngram.ragged(bags, bags.values(idf))
        rows.append(ngram.bag_sum(made.table, batch) + made.bias)
    return torch.cat(rows).double().numpy()


def probabilities(made: parameters.Weights, texts: Sequence[str]) -> NDArray[np.float64]:
    """Return calibrated probabilities, (texts, authors)."""
    return metrics.softmax(logits(made, texts) / made.temperature.item())


def _calibrated(corpus: Corpus, folds: list[int], seed: int, bar: Progress) -> tuple[float, float]:
    """Return temperature and threshold, from a model that has not seen the tuning fold."""
    rest = [fold for fold in folds if fold != TUNING_FOLD]
    linear = _fitted(corpus, rest, seed, bar, "to calibrate")
    tuning = corpus.part(TUNING_FOLD)
    labels = _labels(corpus, tuning)
    made = parameters.Weights(
        parameters.pack(linear.table), linear.bias, torch.from_numpy(linear.idf), torch.ones(1)
    )
    scores = logits(made, [message.text for message in tuning])
    divisor = metrics.temperature(scores, labels)
    calibrated = metrics.softmax(scores / divisor)
    right = calibrated.argmax(1) == labels
    return divisor, metrics.threshold(calibrated.max(1), right)


def _fitted(corpus: Corpus, folds: list[int], seed: int, bar: Progress, name: str) -> Linear:
    task = bar.add_task(name, total=1.0)
    messages = corpus.part(*folds)
    bags = bags_of([message.text for message in messages])
    return fit(
        bags,
        _labels(corpus, messages),
        len(corpus.authors),
        seed,
        lambda share: bar.update(task, completed=share),
    )


def _baseline(corpus: Corpus, folds: list[int], seed: int) -> dict[str, float]:
    training, held_out = corpus.part(*folds), corpus.part(HELD_OUT_FOLD)
    return baseline.measure(
        [message.text for message in training],
        _labels(corpus, training),
        [message.text for message in held_out],
        _labels(corpus, held_out),
        seed,
    )


def _labels(corpus: Corpus, messages: Sequence[Message]) -> NDArray[np.int64]:
    index = {author: number for number, author in enumerate(corpus.authors)}
    return np.array([index[message.author] for message in messages], np.int64)


def _training(seed: int, divisor: float, seconds: float) -> dict[str, Any]:
    return {
        "model": "linear, squared hinge loss one against the rest, class-balanced, Adam",
        "features": features.PREPROCESSING,
        "epochs": EPOCHS,
        "learning_rate": LEARNING_RATE,
        "seed": seed,
        "temperature": round(divisor, 5),
        "calibration": "temperature and threshold from a model fitted without the tuning fold; "
        "the final one is fitted on all training messages and keeps both",
        "threshold_rule": "the lowest confidence at which "
        f"{metrics.WANTED_ACCURACY:.0%} of the answers on the tuning fold are right",
        "seconds": round(seconds, 1),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
    }


def _comparison(trained: ModelCard) -> Table:
    ours, other = trained.details["metrics"], trained.details["baseline"]
    table = Table("held-out messages", "Byline", other.get("name", "baseline: not run"))
    for name, value in ours.items():
        table.add_row(name.replace("_", " "), str(value), str(other.get(name, "")))
    return table


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m model.train", description=__doc__)
    parser.add_argument("--data", type=Path, help="messages of your own, .jsonl or .csv")
    parser.add_argument(
        "--out",
        type=Path,
        help=f"folder to write; {OWN} for your own data, the shipped model's otherwise",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-baseline", dest="baseline", action="store_false")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
