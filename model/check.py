"""Checks a model of your own, and measures its speed: ``make check-model MODEL=module:Class``.

The command makes the checks that a worker makes at its start, and needs no broker, worker or api.
The exit status is 0 if a worker can serve the model, and otherwise 2.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from model.serving.device import DeviceError
from model.serving.engine import Engine
from model.serving.loading import AnyModel, create
from model.serving.placement import Placement
from model.serving.precision import DTYPES, WORDS
from model.types import MODELS, DeviceLost, Explainer, Model, ModelError, Novelty

#: Measured batch sizes, in messages. An idle worker has the smallest, a busy worker the largest.
SIZES = (1, 8, 64, 256)
#: Largest number of words in a message. 120 words have about 500 characters.
MAX_WORDS = 120
#: Seconds for which batches of one size are measured. At least one batch is measured.
MEASURE_S = 1.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Checks and measures the model that the command line names. Returns the exit status."""
    options = _options(arguments)
    print(f"checking {options.model} …", flush=True)
    try:
        model = create(MODELS.get(options.model, options.model), options.directory)
        engine = Engine(model, Placement(options.device, options.precision))
        began = time.perf_counter()
        engine.start()
        print(_description(model, engine, time.perf_counter() - began), flush=True)
        for line in speeds(engine):
            print(line, flush=True)
    except (DeviceError, DeviceLost, ModelError) as error:
        print(f"byline: {options.model} can't be served: {error}", file=sys.stderr)
        return 2
    print(f"{options.model} can be served")
    return 0


def speeds(engine: Engine) -> Iterator[str]:
    """Measures the speed of each batch size, on messages of random words.

    Yields a line for each size: the milliseconds of a batch, and the messages per second.
    """
    chance, words = random.Random(0), WORDS.split()
    for size in SIZES:
        seconds: list[float] = []
        while sum(seconds) < MEASURE_S:
            texts = [
                " ".join(chance.choices(words, k=chance.randint(1, MAX_WORDS))) for _ in range(size)
            ]
            began = time.perf_counter()
            engine.predict(texts)
            seconds.append(time.perf_counter() - began)
        median = statistics.median(seconds)
        yield f"  batch of {size:>3}: {median * 1e3:9.2f} ms, {size / median:>9,.0f} messages/s"


def _description(model: AnyModel, engine: Engine, start_s: float) -> str:
    card = engine.card
    optional = [
        f"{'has' if isinstance(model, protocol) else 'has no'} `{name}`"
        for name, protocol in (("explain", Explainer), ("unseen", Novelty))
    ]
    shapes = (
        f"{len(model.buckets)} buckets, at most {model.buckets[-1].messages} messages in a pass"
        if isinstance(model, Model)
        else f"reads tokens, at most {model.grid.lengths[-1]} of a message"
    )
    return (
        f"  card: {card.name}, version {card.version}, {len(card.authors)} authors, names none "
        f"below {card.threshold}\n"
        f"  shapes: {shapes}\n"
        f"  optional: {', '.join(optional)}\n"
        f"  start: {start_s:.2f} s on {engine}"
    )


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m model.check", description=__doc__)
    parser.add_argument("model", help=f"{', '.join(MODELS)}, or package.module:Class")
    parser.add_argument("--directory", type=Path, help="folder of the model's weights and card")
    parser.add_argument("--device", default="auto", help="auto, cpu, mps, cuda or cuda:N")
    parser.add_argument("--precision", choices=DTYPES, default="fp32")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
