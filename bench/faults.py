"""What breaking each part does to a load: ``make faults``.

Byline is started anew for each fault, 500 messages a second are sent, half way the fault happens,
and every message is accounted for: answered, promised for later and then there, refused with a
reason or cut off (the client knows that it has to send it again), or lost.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from bench import messages
from bench.campaign import held_out
from bench.loss import Loss, measure
from bench.scenario import Mix
from bench.system import NotRunning, Started, status

#: Messages a second, and for how many seconds.
RATE, SECONDS = 500.0, 24.0
#: Seconds for which a process is frozen.
FROZEN_S = 5.0


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that breaks."""

    name: str
    #: The part it happens to, and what happens.
    part: str
    strike: Callable[[int], None]
    settings: Mapping[str, str] = field(default_factory=dict)


def _kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def _freeze(pid: int) -> None:
    os.kill(pid, signal.SIGSTOP)
    threading.Timer(FROZEN_S, os.kill, (pid, signal.SIGCONT)).start()


FAULTS = (
    Fault("the only worker is killed", "worker", _kill),
    Fault("one of two workers is killed", "worker-1", _kill, {"BYLINE_WORKERS": "2"}),
    Fault(f"the worker is frozen for {FROZEN_S:g} s", "worker", _freeze),
    Fault("the api is killed", "api", _kill),
    Fault("Valkey is killed", "valkey", _kill),
    Fault(f"Valkey is frozen for {FROZEN_S:g} s", "valkey", _freeze),
)
HEADER = """
| fault | sent | answered | promised, and there | refused or cut off | lost | serves again |
|---|---|---|---|---|---|---|"""


#: What may happen to a part, whichever; by the part's name, with two workers.
KINDS = tuple(
    (part, strike)
    for part in ("worker-1", "worker-2", "api", "valkey")
    for strike in (_kill, _freeze)
)


def main() -> int:
    """Run all faults and print the table. Returns 1 where anything was lost."""
    console = Console()
    found: dict[str, Loss] = {}
    with tempfile.TemporaryDirectory(prefix="byline-faults-") as place:
        folder = Path(place)
        passages = messages.read(held_out(folder))
        for fault in FAULTS:
            console.print(f"{fault.name} …")
            with Started(Path(tempfile.mkdtemp(dir=folder)), fault.settings) as system:
                pid = first(system, fault.part)
                drawn = messages.stream(passages, Mix(seed=7), int(time.time()))
                found[fault.name] = measure(
                    system.target,
                    drawn,
                    passages,
                    lambda fault=fault, pid=pid: fault.strike(pid),  # type: ignore[misc]
                    int(RATE * SECONDS),
                    RATE,
                )
            console.print(_line(fault.name, found[fault.name]), soft_wrap=True)
    lines = [HEADER, *(_line(name, loss) for name, loss in found.items())]
    console.print("\n".join(lines), soft_wrap=True)
    return 1 if any(loss.broken for loss in found.values()) else 0


def first(system: Started, part: str) -> int:
    """Return the process that a part began with.

    Raises:
        NotRunning: there is no such part.
    """
    pids = system.parts().get(part)
    if not pids:
        raise NotRunning(f"Byline has no part {part}: {', '.join(system.parts())}")
    return pids[0]


def _line(name: str, loss: Loss) -> str:
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in loss.failed.items())
    refused = f"{sum(loss.failed.values()):,}" + (f" ({reasons})" if reasons else "")
    again = "never" if loss.recovered_s is None else f"after {loss.recovered_s:.1f} s"
    counts = f"{loss.sent:,} | {loss.answered:,} | {loss.kept:,}"
    return f"| {name} | {counts} | {refused} | {loss.broken} | {again} |"


if __name__ == "__main__":
    sys.exit(status("faults", main))
