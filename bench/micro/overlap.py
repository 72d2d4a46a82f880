"""Measures whether a worker gains by preparing a batch while a GPU computes another batch.

``python -m bench.micro.overlap`` runs a worker with and without overlap on the same messages. Only
the GPU is simulated: it takes a fixed time for each message.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from bench.micro.texts import write_texts
from bench.micro.worker_speed import serve_all, texts_of

#: Microseconds that the simulated GPU takes for a message, like a large GPU, a small GPU and a
#: laptop's GPU.
SPEEDS = (50, 200, 1000)
#: The module that runs the worker with the simulated GPU.
WORKER = "bench.micro.overlap"


def main() -> int:
    """Measures and prints a worker's messages/s with and without overlap, at each GPU speed."""
    options = _options()
    if options.worker:
        return _worker()
    with tempfile.TemporaryDirectory(prefix="byline-bench-") as folder:
        messages = Path(folder) / "messages"
        write_texts(messages)
        texts = texts_of(messages, options.messages)
        for microseconds in SPEEDS:
            rates: dict[bool, list[float]] = {False: [], True: []}
            for number in range(options.rounds):
                for overlaps in sorted(rates, reverse=bool(number % 2)):
                    env = {"BENCH_GPU_US": str(microseconds), "BENCH_OVERLAPS": str(int(overlaps))}
                    module = [WORKER, "--worker"]
                    rates[overlaps].append(serve_all(Path(folder), texts, env, module)["rate"])
            after, over = (statistics.median(rates[overlaps]) for overlaps in (False, True))
            print(
                f"{microseconds:>5} µs a message: one after the other {after:,.0f}, overlapping "
                f"{over:,.0f} messages/s, {over / after:.2f} times",
                flush=True,
            )
    return 0


def _worker() -> int:
    """Runs a worker with the simulated GPU, and returns the worker's exit status."""
    factory = import_module("celery_app.worker.factory")
    settings = import_module("celery_app.settings").Settings.from_environ(os.environ)
    model = factory.load_model(settings)
    device = _simulated(
        float(os.environ["BENCH_GPU_US"]) / 1e6, os.environ["BENCH_OVERLAPS"] == "1"
    )
    model.forward = device.forward(len(model.card.authors))
    app = factory.build(settings, model, lambda *_: device)
    status: int = import_module("celery_app.worker.main").serve(app, settings, [])
    return status


def _simulated(seconds: float, overlaps: bool) -> Any:
    """Returns a simulated GPU, which computes one batch at a time.

    The GPU takes ``seconds`` for each message. If the parameter ``overlaps`` is true, the worker
    prepares the next batch while the GPU computes.
    """
    torch, device = import_module("torch"), import_module("model.serving.device")

    class SimulatedDevice(device.Device):  # type: ignore[misc, name-defined]
        pads = True
        tokens = 32_768

        def __init__(self) -> None:
            super().__init__(torch.device("cpu"))
            self.overlaps = overlaps
            self._free_at = 0.0

        def forward(self, authors: int) -> Callable[[Any], Any]:
            def forward(batch: Any) -> Any:
                rows = len(batch.tokens)
                self._free_at = max(self._free_at, time.monotonic()) + rows * seconds
                return torch.full((rows, authors), 1 / authors)

            return forward

        def download(self, tensor: Any) -> Callable[[], Any]:
            ready = self._free_at

            def wait() -> Any:
                time.sleep(max(0.0, ready - time.monotonic()))  # the GPU computes
                return tensor

            return wait

    return SimulatedDevice()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.micro.overlap", description=__doc__)
    parser.add_argument("--messages", type=int, default=8192)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
