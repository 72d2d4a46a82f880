"""What breaking each part does to a load: ``make faults``.

Byline is started anew for each fault and sent 500 messages a second. Ten seconds later the fault
happens. Every message is accounted for: answered, promised for later and then there, refused with a
reason or cut off (the client knows that it has to send it again), or lost. Then all is asked again:
an answer that differs from the first would be an effect that happened twice. A refusal is one only
by a reason that tells the client to come back: a 500, or no answer at all, is none.
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

from bench.campaign import held_out
from bench.faults.duplicate_check import DuplicateCheck, computed_twice
from bench.faults.fault_injection import (
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
from bench.faults.loss import Loss, measure
from bench.faults.promised import TOO_LATE, Course, cut_power, fill_cache, fill_queue
from bench.load import messages
from bench.load.recorder import BROKEN
from bench.load.scenario import Mix
from bench.system.system import Started, status

#: Messages a second.
RATE = 500.0
#: Seconds of load before a fault, and in all.
BREAKS_S, SECONDS = 10.0, 20.0
#: Where parts are replaced one after the other: seconds of load at most, and after the last one.
REPLACED_S, THEN_S = 200.0, 10.0
TWO_WORKERS = {"BYLINE_WORKERS": "2"}
#: What a client may be told meanwhile: what the api answers with 503 or 504. Not ``revoked``, for
#: nobody revokes anything here.
HONEST = frozenset(
    {
        "broker_unavailable",
        "cache_unavailable",
        "no_answer",
        "no_model",
        "overloaded",
        "deadline_passed",
    }
)


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that breaks."""

    name: str
    #: What happens ten seconds into the load. None: it has a course instead.
    strike: Strike | None
    settings: Mapping[str, str] = field(default_factory=dict)
    #: Why a message may have been neither answered nor promised.
    honest: frozenset[str] = HONEST
    #: Does it take as long as the machine needs? Then so does the load.
    replaces: bool = False
    #: What is done to the system instead, and accounted for, where it is about promises.
    course: Course | None = None


FAULTS = (
    Fault("the only worker is killed with -9", kill("worker")),
    Fault("one of two workers is killed", kill("worker-1"), TWO_WORKERS),
    Fault(f"the worker is frozen for {LASTS_S:g} s", freeze("worker")),
    Fault(f"the model is slow for {LASTS_S:g} s", slow_model),
    Fault("a forward pass never returns", hang_model, {"BYLINE_BATCH_TIMEOUT_S": "2"}),
    # The only one that ends who holds the clients' connections.
    Fault("the api is killed", kill("api"), honest=HONEST | {BROKEN}),
    Fault("Valkey is killed", kill("valkey")),
    Fault(f"Valkey is frozen for {LASTS_S:g} s", freeze("valkey")),
    Fault("all connections to Valkey are cut", cut_connections),
    Fault(f"Valkey's disk is full for {LASTS_S:g} s", fill_disk),
    Fault(
        "the workers are replaced, one after the other",
        restart_workers,
        # As for an upgrade: two of each, so that there is always one.
        TWO_WORKERS | {"BYLINE_API_PROCESSES": "2"},
        replaces=True,
    ),
    Fault(
        "the api's processes are replaced",
        restart_api,
        TWO_WORKERS | {"BYLINE_API_PROCESSES": "2"},
        replaces=True,
    ),
    Fault("the queue fills Valkey, and the worker is killed", None, course=fill_queue),
    Fault("others fill the cache", None, course=fill_cache),
    Fault("the power goes; appendfsync always", None, course=cut_power("always")),
    Fault(
        "the power goes; appendfsync everysec",
        None,
        honest=HONEST | {TOO_LATE},
        course=cut_power("everysec"),
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
    #: As the fault's.
    honest: frozenset[str] = HONEST
    #: How many messages should have been sent. None: it is not looked at.
    ordered: int | None = None

    @property
    def harmless(self) -> bool:
        """Whether all was sent, and every message was accounted for, and had one effect."""
        return not self.complaints

    @property
    def complaints(self) -> list[str]:
        """What is wrong, in words."""
        loss = self.loss
        known = loss.answered + loss.kept + loss.broken + sum(loss.failed.values())
        found = [
            f"{count:,} {reason}: no reason that a client may be given"
            for reason, count in loss.failed.items()
            if reason not in self.honest
        ]
        if self.ordered is not None and loss.sent != self.ordered:
            found.append(f"{loss.sent:,} sent, and not {self.ordered:,}")
        if known != loss.sent:
            found.append(f"{loss.sent:,} sent, and {known:,} accounted for")
        if loss.broken:
            found.append(f"{loss.broken:,} lost")
        if self.contradicted:
            found.append(f"{self.contradicted:,} effects doubled")
        return found

    def line(self, name: str) -> str:
        """Returns a row of the table."""
        loss = self.loss
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in loss.failed.items())
        refused = f"{sum(loss.failed.values()):,}" + (f" ({reasons})" if reasons else "")
        again = f"after {loss.disturbed_s:.1f} s" if loss.disturbed_s else "at once"
        counts = f"{loss.sent:,} | {loss.answered:,} | {loss.kept:,} | {refused}"
        twice = f"{self.contradicted} | {self.computed_twice:,}"
        return f"| {name} | {counts} | {loss.broken} | {twice} | {again} |"


def main() -> int:
    """Runs all faults and print the table. Returns 1 where a fault did harm."""
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
    for name, each in found.items():
        for words in each.complaints:
            console.print(f"{name}: {words}", soft_wrap=True)
    return 0 if all(each.harmless for each in found.values()) else 1


def outcome(fault: Fault, folder: Path, passages: list[messages.Passage]) -> Outcome:
    """Breaks something on a system of its own, ten seconds into a load, or in a course."""
    if (course := fault.course) is not None:
        with Started(folder, watched(folder) | fault.settings) as system:
            return Outcome(course(system), 0, computed_twice(folder / "calls"), fault.honest)
    strike = fault.strike
    assert strike is not None
    seconds = REPLACED_S if fault.replaces else SECONDS
    number = int(RATE * seconds)
    with Started(folder, watched(folder) | fault.settings) as system:
        duplicate_check = DuplicateCheck(passages)
        loss = measure(
            system.target,
            messages.stream(passages, Mix(seed=7), int(time.time())),
            passages,
            lambda: strike(system),
            number,
            RATE,
            duplicate_check,
            breaks_at=BREAKS_S / seconds,
            then_s=THEN_S if fault.replaces else None,
        )
        twice = computed_twice(folder / "calls")
        contradicted = duplicate_check.contradicted(system.target)
        ordered = None if fault.replaces else number
        return Outcome(loss, contradicted, twice, fault.honest, ordered)


def watched(folder: Path) -> dict[str, str]:
    """Returns the settings with which the default model notes what it computes."""
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
