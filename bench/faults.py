"""What breaking each part does to a load: ``make faults``.

Byline is started anew for each fault, 500 messages a second are sent, half way the fault happens,
and every message is accounted for: answered, promised for later and then there, refused with a
reason or cut off (the client knows that it has to send it again), or lost. Then all is asked again:
an answer that differs from the first would be an effect that happened twice.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from bench import messages
from bench.breaking import (
    LASTS_S,
    Strike,
    cut_connections,
    fill_disk,
    freeze,
    hang_model,
    kill,
    restart_api,
    restart_workers,
    slow_model,
)
from bench.campaign import held_out
from bench.loss import Loss, measure
from bench.scenario import Mix
from bench.system import Started, status
from bench.witness import Witness, computed_twice

#: Messages a second, and for how many seconds.
RATE, SECONDS = 500.0, 20.0
TWO_WORKERS = {"BYLINE_WORKERS": "2"}


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that breaks."""

    name: str
    strike: Strike
    settings: Mapping[str, str] = field(default_factory=dict)


FAULTS = (
    Fault("the only worker is killed with -9", kill("worker")),
    Fault("one of two workers is killed", kill("worker-1"), TWO_WORKERS),
    Fault(f"the worker is frozen for {LASTS_S:g} s", freeze("worker")),
    Fault(f"the model is slow for {LASTS_S:g} s", slow_model),
    Fault("a forward pass never returns", hang_model, {"BYLINE_BATCH_TIMEOUT_S": "2"}),
    Fault("the api is killed", kill("api")),
    Fault("Valkey is killed", kill("valkey")),
    Fault(f"Valkey is frozen for {LASTS_S:g} s", freeze("valkey")),
    Fault("all connections to Valkey are cut", cut_connections),
    Fault(f"Valkey's disk is full for {LASTS_S:g} s", fill_disk),
    Fault(
        "the workers are replaced, one after the other",
        restart_workers,
        # As for an upgrade: two of each, so that there is always one.
        TWO_WORKERS | {"BYLINE_API_PROCESSES": "2"},
    ),
    Fault(
        "the api's processes are replaced",
        restart_api,
        TWO_WORKERS | {"BYLINE_API_PROCESSES": "2"},
    ),
)
HEADER = """
| fault | sent | answered | promised, and there | refused or cut off | lost | effects doubled | computed twice | as before |
|---|---|---|---|---|---|---|---|---|"""  # noqa: E501


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a fault did."""

    loss: Loss
    contradicted: int
    computed_twice: int

    @property
    def harmless(self) -> bool:
        """Whether every message was accounted for, and had one effect."""
        loss = self.loss
        known = loss.answered + loss.kept + loss.broken + sum(loss.failed.values())
        return known == loss.sent and not loss.broken and not self.contradicted

    def line(self, name: str) -> str:
        """Return a row of the table."""
        loss = self.loss
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in loss.failed.items())
        refused = f"{sum(loss.failed.values()):,}" + (f" ({reasons})" if reasons else "")
        again = f"after {loss.disturbed_s:.1f} s" if loss.disturbed_s else "at once"
        counts = f"{loss.sent:,} | {loss.answered:,} | {loss.kept:,} | {refused}"
        twice = f"{self.contradicted} | {self.computed_twice:,}"
        return f"| {name} | {counts} | {loss.broken} | {twice} | {again} |"


def main() -> int:
    """Run all faults and print the table. Returns 1 where anything was lost."""
    options = _options()
    console = Console()
    found: dict[str, Outcome] = {}
    with tempfile.TemporaryDirectory(prefix="byline-faults-") as place:
        folder = Path(place)
        passages = messages.read(held_out(folder))
        for fault in FAULTS:
            if options.only not in fault.name:
                continue
            console.print(f"{fault.name} …")
            found[fault.name] = outcome(fault, Path(tempfile.mkdtemp(dir=folder)), passages)
            console.print(found[fault.name].line(fault.name), soft_wrap=True)
    lines = [HEADER, *(each.line(name) for name, each in found.items())]
    console.print("\n".join(lines), soft_wrap=True)
    return 0 if all(each.harmless for each in found.values()) else 1


def outcome(
    fault: Fault,
    folder: Path,
    passages: list[messages.Passage],
    rate: float = RATE,
    seconds: float = SECONDS,
) -> Outcome:
    """Break something in the middle of a load on a system of its own."""
    with Started(folder, watched(folder) | fault.settings) as system:
        witness = Witness(passages)
        loss = measure(
            system.target,
            messages.stream(passages, Mix(seed=7), int(time.time())),
            passages,
            lambda: fault.strike(system),
            int(rate * seconds),
            rate,
            witness,
        )
        twice = computed_twice(folder / "calls")
        return Outcome(loss, witness.contradicted(system.target), twice)


def watched(folder: Path) -> dict[str, str]:
    """Return the settings with which the default model notes what it computes."""
    return {
        "BYLINE_MODEL": "tests.faults.model:Troubled",
        "TEST_MODEL_CALLS": str(folder / "calls"),
        "TEST_MODEL_TROUBLE": str(folder / "trouble"),
    }


def _options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.faults", description=__doc__)
    parser.add_argument("--only", default="", help="those whose names hold this")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(status("faults", main))
