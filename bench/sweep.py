"""The highest rate within the latency that counts: ``python -m bench.sweep --device cuda``.

wrk sends unique single messages over HTTP, with more and more connections; the best rate whose P95
is within 55 ms is reported, with the utilisation of the GPU meanwhile.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.core import answer_rate, byline, valkey, write_messages
from bench.gpu import Utilisation
from bench.processes import Processes

#: Milliseconds within which 95 % of the messages must be answered.
BOUND_MS = 55
CONNECTIONS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


def main() -> int:
    """Sweep, and print the best. Returns 1 where no rate is within the bound."""
    options = _options()
    if not shutil.which("wrk"):
        print("bench.sweep needs wrk: apt-get install wrk, or brew install wrk", file=sys.stderr)
        return 2
    best: dict[str, Any] | None = None
    with tempfile.TemporaryDirectory(prefix="byline-bench-") as name:
        folder = Path(name)
        messages = folder / "messages"
        write_messages(messages)
        env = {
            "BYLINE_MODEL": options.model,
            "BYLINE_DEVICE": options.device,
            "BYLINE_PRECISION": options.precision,
            "BYLINE_WORKERS": "1",
        }
        with Processes(folder) as processes:
            valkey(processes, folder)
            path = byline(processes, env)
            answer_rate(messages, path, 8, 3)  # warm-up, not measured
            for connections in CONNECTIONS:
                with Utilisation() as gpu:
                    result = answer_rate(messages, path, connections, options.seconds)
                busy = gpu.mean()
                print(f"{connections:>4} connections: {_line(result, busy)}", flush=True)
                if result["p95_ms"] <= BOUND_MS and (not best or result["rate"] > best["rate"]):
                    best = {**result, "gpu": busy, "connections": connections}
    if best is None:
        print(f"\nno rate is within a P95 of {BOUND_MS} ms")
        return 1
    print(f"\nbest within {BOUND_MS} ms, {best['connections']} connections: ", end="")
    print(_line(best, best["gpu"]))
    return 0


def _line(result: dict[str, Any], busy: float | None) -> str:
    gpu = "" if busy is None else f", GPU {busy:.0f} % busy"
    return (
        f"{result['rate']:,.0f} messages/s, P50 {result['p50_ms']:.0f} ms, P95 "
        f"{result['p95_ms']:.0f} ms, {result['failed']} failed{gpu}"
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.sweep", description=__doc__)
    parser.add_argument("--model", default="transformer", help="as BYLINE_MODEL (transformer)")
    parser.add_argument("--device", default="auto", help="as BYLINE_DEVICE (auto)")
    parser.add_argument("--precision", default="fp32", help="as BYLINE_PRECISION (fp32)")
    parser.add_argument("--seconds", type=int, default=10, help="of each step (10)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
