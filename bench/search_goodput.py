"""Searches for a system's goodput: ``python -m bench.search_goodput --device cuda``.

Goodput is the highest rate at which the P95 latency stays within its bound. The load sends new
single messages at a fixed rate (open loop). ``--peer "plain Celery"`` measures a peer of
``make bench-peers`` instead of Byline.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.campaign import held_out, run
from bench.load.goodput import BOUND_MS, search
from bench.load.scenario import Scenario
from bench.peers.catalog import PEERS
from bench.peers.systems import PeerSystem
from bench.report.results import Run
from bench.report.summary import Observed
from bench.system.gpu import Utilisation
from bench.system.system import Started

#: Seconds of unmeasured load before each step.
WARMUP_S = 3.0


def main() -> int:
    """Searches for the goodput, and prints it.

    Returns 1 if the latency or the failures exceed their bound at every rate.
    """
    options = _options()
    with tempfile.TemporaryDirectory(prefix="byline-bench-") as name:
        folder = Path(name)
        passages = held_out(folder)
        with _system(options, folder) as system:

            def measure(rate: float | None) -> Run:
                scenario = Scenario(
                    title="sweep",
                    rate=rate,
                    connections=options.connections if rate is None else 1024,
                    seconds=options.seconds,
                    warmup_seconds=WARMUP_S,
                )
                with Utilisation() as gpu:
                    done = run("sweep", scenario, system, Observed(""), passages, _silent)
                if done.interrupted:
                    raise KeyboardInterrupt
                busy = gpu.mean()
                print(_line(done) + ("" if busy is None else f", GPU {busy:.0f} % busy"))
                return done

            # The search begins with the rate that a closed loop reaches.
            best = search(measure, measure(None).totals.throughput)
    if best is None:
        print(f"no rate is within a P95 of {BOUND_MS:g} ms")
        return 1
    print(f"best within {BOUND_MS:g} ms: {_line(best)}")
    return 0


def _system(options: argparse.Namespace, folder: Path) -> Any:
    """Returns the system that the command line asks for. A ``with`` block starts and stops it."""
    if options.peer:
        return PeerSystem(next(peer for peer in PEERS if peer.name == options.peer), folder)
    settings = {
        "BYLINE_MODEL": options.model,
        "BYLINE_DEVICE": options.device,
        "BYLINE_PRECISION": options.precision,
        "BYLINE_API_PROCESSES": str(options.api_processes),
        "BYLINE_ACCELERATOR": "on" if options.accelerator else "off",
    }
    return Started(folder, settings)


def _silent(_: object) -> None:
    pass


def _line(done: Run) -> str:
    asked = "as many as go" if done.scenario.rate is None else f"{done.scenario.rate:,.0f} asked"
    return (
        f"{done.totals.throughput:,.0f} messages/s ({asked}), P50 {done.latency.p50_ms:.0f} ms, "
        f"P95 {done.latency.p95_ms:.0f} ms, {sum(done.totals.failed.values())} failed"
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.search_goodput", description=__doc__)
    parser.add_argument("--model", default="transformer", help="as BYLINE_MODEL (transformer)")
    parser.add_argument("--device", default="auto", help="as BYLINE_DEVICE (auto)")
    parser.add_argument("--precision", default="fp32", help="as BYLINE_PRECISION (fp32)")
    parser.add_argument("--connections", type=int, default=64, help="of the closed loop (64)")
    parser.add_argument("--seconds", type=float, default=10, help="of each step (10)")
    parser.add_argument(
        "--no-accelerator", dest="accelerator", action="store_false", help="Flask under gunicorn"
    )
    parser.add_argument("--api-processes", type=int, default=1, help="of the api (1)")
    parser.add_argument("--peer", choices=[peer.name for peer in PEERS], help="instead of Byline")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
