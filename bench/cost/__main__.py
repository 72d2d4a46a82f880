"""Measures Byline's cost ratio: ``python -m bench.cost``. Linux only.

The cost ratio is one CPU time of a message divided by another. The first is that of api, worker and
Valkey. The second is the least that such a system needs: an HTTP server that only echoes the
request, plus the model alone in batches of 64. The ratio depends little on the machine.

Each round measures Byline, the echo and the model. Byline and the echo first get single messages,
and then requests of 64 messages.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.campaign import held_out, run
from bench.cost.echo_system import PART, EchoSystem
from bench.load.scenario import Scenario
from bench.report.results import Run
from bench.report.summary import Observed
from bench.system.system import ROOT, Started, status

#: Messages in a request, and requests under way in the closed loop that finds the ceiling.
LOADS = {"single": (1, 64), "64 a request": (64, 8)}
#: Share of the ceiling at which the CPU time is measured.
SHARE = 0.6
#: Maximum number of requests under way in an open loop.
MAX_CONNECTIONS = 1024
#: Seconds of unmeasured load before each step.
WARMUP_S = 3.0
#: Byline's parts that take part in answering a message. The other parts (Flower, celery-exporter,
#: the monitor) watch.
PARTS = ("api", "worker", "valkey")
#: The names of the other figures of a round.
ECHO, MODEL, P95, RATE = PART, "model", "P95, ms", "messages/s"

#: CPU time in microseconds a message, by part. The costs of a round also have ``P95`` and ``RATE``.
Costs = dict[str, float]


def main() -> int:
    """Measures the cost ratio in several rounds, and prints the median of each figure."""
    options = _options()
    console = Console()
    rounds: dict[str, list[Costs]] = {load: [] for load in LOADS}
    with tempfile.TemporaryDirectory(prefix="byline-bench-") as name:
        folder = Path(name)
        passages = held_out(folder)
        for number in range(options.rounds):
            console.print(f"round {number + 1} of {options.rounds}")
            own = Path(tempfile.mkdtemp(dir=folder))
            for load, costs in _round(own, passages, options).items():
                rounds[load].append(costs)
                console.print(f"  {load}: {_line(costs)}")
    console.print(_table(rounds))
    return 0


def _round(folder: Path, passages: Path, options: argparse.Namespace) -> dict[str, Costs]:
    """Measures one round, and returns its figures by load: single messages, and 64 a request.

    The figures are the CPU time of Byline's parts, of the echo and of the model, in microseconds a
    message, and Byline's P95 latency and messages/s.
    """
    costs: dict[str, Costs] = {}
    rates: dict[str, float] = {}
    with Started(folder, {}) as system:
        for load in LOADS:
            ceiling = _measured(load, None, options.seconds, system, passages)
            rates[load] = SHARE * ceiling.totals.throughput
            done = _measured(load, rates[load], options.seconds, system, passages)
            own = cpu_us(done)
            costs[load] = {part: own[part] for part in PARTS}
            costs[load] |= {P95: done.latency.p95_ms, RATE: done.totals.throughput}
    with EchoSystem(folder) as echo:
        for load in LOADS:
            done = _measured(load, rates[load], options.seconds, echo, passages)
            costs[load] |= {ECHO: cpu_us(done)[PART], MODEL: _model_us(passages)}
    return costs


def _measured(load: str, rate: float | None, seconds: float, system: Any, passages: Path) -> Run:
    bulk, connections = LOADS[load]
    scenario = Scenario(
        title="cost",
        rate=rate,
        connections=connections if rate is None else MAX_CONNECTIONS,
        bulk=bulk,
        seconds=seconds,
        warmup_seconds=WARMUP_S,
    )
    done = run("cost", scenario, system, Observed(""), passages, lambda _: None)
    if done.interrupted:
        raise KeyboardInterrupt
    return done


def cpu_us(done: Run) -> Costs:
    """Returns the CPU time of a message in microseconds, by part.

    The CPU time is the mean over the seconds of the run ``done``. The divisor is the number of sent
    messages, because an echo's response has no attribution, and does not count as an answer.
    """
    seconds = [second for second in done.timeline if second.cpu]
    rate = done.totals.sent / done.seconds
    names = {name for second in seconds for name in second.cpu}
    return {
        name: 1e6 * statistics.fmean(second.cpu.get(name, 0.0) for second in seconds) / rate
        for name in names
    }


def _model_us(passages: Path) -> float:
    """Returns the CPU time that the model alone takes for a message, in microseconds."""
    command = [sys.executable, "-m", "bench.cost.bare_model", str(passages)]
    env = import_module("model.serving.numpy_cpu_features").environment()
    # The worker sets the same variables.
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | env, check=True, stdout=subprocess.PIPE, text=True
    )
    return float(done.stdout)


def ratio(costs: Mapping[str, float]) -> float:
    """Returns the CPU time of Byline's parts, divided by that of echo and model together."""
    return sum(costs[part] for part in PARTS) / (costs[ECHO] + costs[MODEL])


def _line(costs: Costs) -> str:
    figures = ", ".join(f"{name} {value:,.0f}" for name, value in costs.items())
    return f"ratio {ratio(costs):.2f} ({figures})"


def _table(rounds: Mapping[str, Sequence[Costs]]) -> Table:
    """Returns a table of medians over the rounds: a row for each figure, a column for each load."""
    table = Table("median of the rounds", *rounds, title="CPU time a message, microseconds")
    for name in (*PARTS, ECHO, MODEL, P95, RATE):
        middle = [statistics.median(costs[name] for costs in each) for each in rounds.values()]
        table.add_row(name, *(f"{value:,.0f}" for value in middle))
    ratios = [statistics.median(map(ratio, each)) for each in rounds.values()]
    table.add_row("cost ratio", *(f"{each:.2f}" for each in ratios))
    return table


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.cost", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each step (%(default)g)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(status("bench.cost", main))
