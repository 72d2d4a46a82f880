"""Measures the CPU time of the model alone: ``python -m bench.cost.bare_model passages.jsonl``.

The program makes messages from the passages, which are texts in a file. It gives the messages to
the model in batches of 64, and prints the CPU time of a message in microseconds: the median of
several rounds.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from bench.load import messages
from bench.load.scenario import Mix

#: Texts in a batch.
BATCH = 64
#: Batches in a round.
BATCHES = 64
#: Rounds that are measured, after one round that warms up.
ROUNDS = 7


def main() -> int:
    """Measures the model, and prints the CPU time of a message in microseconds."""
    parser = argparse.ArgumentParser(prog="python -m bench.cost.bare_model", description=__doc__)
    parser.add_argument("passages", type=Path, help="a .jsonl file with text and author")
    parser.add_argument("--model", default="model.ngram:NgramModel", help="package.module:Class")
    options = parser.parse_args()
    module, _, name = options.model.partition(":")
    torch.set_num_threads(1)
    model = getattr(import_module(module), name)()
    model.load(torch.device("cpu"))
    drawn = messages.stream(messages.read(options.passages), Mix(), time.time_ns() // 10**6)
    with torch.inference_mode():
        rounds = [
            _round(model, [[next(drawn).text for _ in range(BATCH)] for _ in range(BATCHES)])
            for _ in range(ROUNDS + 1)
        ]
    print(f"{1e6 * statistics.median(rounds[1:]):.1f}")
    return 0


def _round(model: Any, batches: list[list[str]]) -> float:
    """Computes ``batches``, and returns the mean CPU time of a message, in seconds."""
    began = time.process_time()
    for batch in batches:
        model.forward(model.prepare(batch))
    return (time.process_time() - began) / sum(map(len, batches))


if __name__ == "__main__":
    sys.exit(main())
