"""Measures the model's messages/s on one core: ``python -m bench.micro.model_speed``.

The program times the model's methods ``prepare``, which turns texts into tensors, and ``forward``,
without broker or HTTP. The result is the median of several rounds.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

#: Batch sizes that are measured: from 1, the size when no other message waits, to the largest.
SIZES = (1, 8, 64, 256)
#: Characters of a text.
CHARACTERS = 500
#: Messages/s that a batch of 64 must reach.
BAR = 3_000
#: Different words in the texts, of two to ten letters each.
VOCABULARY = 20_000


def main() -> int:
    """Measures the model's speed for each batch size, and prints it.

    Returns 1 if a batch of 64 is slower than ``BAR`` messages/s.
    """
    options = _options()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    torch.set_num_threads(1)
    module, _, name = options.model.partition(":")
    model = getattr(import_module(module), name)(
        **({"directory": options.directory} if options.directory else {})
    )
    model.load(torch.device("cpu"))
    write = texts_of(random.Random(0))
    speeds = {}
    print(f"{model.card.version}, torch {torch.__version__}, 1 thread, {CHARACTERS} characters")
    with torch.inference_mode():
        for size in SIZES:
            seconds = measure(model, write, size, options.rounds)
            speeds[size] = size / seconds
            print(f"batch {size:>3}: {seconds * 1e3:7.3f} ms, {speeds[size]:>8,.0f} messages/s")
    return 0 if speeds[64] >= BAR else 1


def measure(model: Any, write: Callable[[int], list[str]], size: int, rounds: int) -> float:
    """Returns the seconds that a batch of ``size`` texts takes.

    The function ``write`` makes the texts. Each round computes several batches, and takes the mean
    of their times. The result is the median of ``rounds`` rounds.
    """
    # Each batch has other texts, so that no processor cache holds them.
    batches = [write(size) for _ in range(max(4, 1024 // size))]
    means = []
    for number in range(rounds + 1):
        began = time.perf_counter()
        for batch in batches:
            model.forward(model.prepare(batch))
        if number:  # the first round warms up
            means.append((time.perf_counter() - began) / len(batches))
    return statistics.median(means)


def texts_of(chance: random.Random) -> Callable[[int], list[str]]:
    """Returns a function that makes random texts. Its argument is the number of texts.

    The frequencies of the words in the texts follow Zipf's law.
    """
    letters = "etaoinshrdlcumwfgypbvk"
    words = [
        "".join(chance.choices(letters, range(len(letters), 0, -1), k=chance.randint(2, 10)))
        for _ in range(VOCABULARY)
    ]
    shares = [1 / (rank + 10) for rank in range(VOCABULARY)]

    def write(texts: int) -> list[str]:
        return [
            " ".join(chance.choices(words, shares, k=CHARACTERS // 5))[:CHARACTERS]
            for _ in range(texts)
        ]

    return write


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.micro.model_speed", description=__doc__)
    parser.add_argument("--model", default="model.ngram:NgramModel", help="package.module:Class")
    parser.add_argument("--directory", type=Path, help="folder of weights and card")
    parser.add_argument("--rounds", type=int, default=7)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
