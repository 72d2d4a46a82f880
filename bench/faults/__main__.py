"""Breaks each part of Byline under load, and counts the outcomes of the messages: ``make faults``.

- *Answered*: Byline gives the answer at once.
- *Promised*: Byline responds with status 202, and gives the answer later.
- *Refused*: Byline responds with an error, or cuts the connection.
- *Lost*: Byline promised an answer, and never gives it.

The program prints these counts as a table with a row for each fault. The table's column *effects
doubled* counts answers that differ from the first answer to the same message.
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
from bench.faults.promised import TOO_LATE, PromiseFault, cut_power, fill_cache, fill_queue
from bench.load import messages
from bench.load.recorder import BROKEN
from bench.load.scenario import Mix
from bench.system.system import Started, status

#: Messages a second.
RATE = 500.0
#: Seconds of load before the fault.
BREAKS_S = 10.0
#: Seconds of the whole load.
SECONDS = 20.0
#: Longest load in seconds if the fault replaces processes one after the other.
REPLACED_S = 200.0
#: Seconds of load after the last process was replaced.
THEN_S = 10.0
TWO_WORKERS = {"BYLINE_WORKERS": "2"}
#: The error codes that a client may get during a fault. They are codes of the api's 503 responses,
#: which ask the client to try again, and of its 504 responses. Status 500, and no response on an
#: open connection, are never allowed. Nobody revokes a task here, so ``revoked`` is not included.
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
    """A fault: its name, the function that causes it, and the allowed reasons of refusals."""

    name: str
    #: Function that causes the fault after ten seconds of load; None if ``promise_fault`` is given.
    strike: Strike | None
    settings: Mapping[str, str] = field(default_factory=dict)
    #: The reasons with which the system may refuse a message.
    allowed_reasons: frozenset[str] = HONEST
    #: True if the fault replaces processes. The load then lasts until all processes are replaced.
    replaces: bool = False
    #: Function that sends its own messages, causes the fault, and returns the messages' outcome.
    promise_fault: PromiseFault | None = None


FAULTS = (
    Fault("the only worker is killed with -9", kill("worker")),
    Fault("one of two workers is killed", kill("worker-1"), TWO_WORKERS),
    Fault(f"the worker is frozen for {LASTS_S:g} s", freeze("worker")),
    Fault(f"the model is slow for {LASTS_S:g} s", slow_model),
    Fault("a forward pass never returns", hang_model, {"BYLINE_BATCH_TIMEOUT_S": "2"}),
    # No other fault ends the process that holds the clients' connections.
    Fault("the api is killed", kill("api"), allowed_reasons=HONEST | {BROKEN}),
    Fault("Valkey is killed", kill("valkey")),
    Fault(f"Valkey is frozen for {LASTS_S:g} s", freeze("valkey")),
    Fault("all connections to Valkey are cut", cut_connections),
    Fault(f"Valkey's disk is full for {LASTS_S:g} s", fill_disk),
    Fault(
        "the workers are replaced, one after the other",
        restart_workers,
        # Two workers and two api processes, as for an upgrade, so that one of each always runs.
        TWO_WORKERS | {"BYLINE_API_PROCESSES": "2"},
        replaces=True,
    ),
    Fault(
        "the api's processes are replaced",
        restart_api,
        TWO_WORKERS | {"BYLINE_API_PROCESSES": "2"},
        replaces=True,
    ),
    Fault("the queue fills Valkey, and the worker is killed", None, promise_fault=fill_queue),
    Fault("others fill the cache", None, promise_fault=fill_cache),
    Fault("the power goes; appendfsync always", None, promise_fault=cut_power("always")),
    Fault(
        "the power goes; appendfsync everysec",
        None,
        # The messages of the last two seconds before the cut may be lost. They count as refused.
        allowed_reasons=HONEST | {TOO_LATE},
        promise_fault=cut_power("everysec"),
    ),
)
HEADER = """
| fault | sent | answered | promised, and there | refused or cut off | lost | effects doubled | computed twice | as before |
|---|---|---|---|---|---|---|---|---|"""  # noqa: E501


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcomes of all messages that were sent during one fault, as counts."""

    loss: Loss
    #: Number of answers that differ from the first answer to the same message.
    contradicted: int
    #: How often the model computed a text that it had computed before.
    computed_twice: int
    #: The reasons with which the system may refuse a message: the reasons of the fault.
    allowed_reasons: frozenset[str] = HONEST
    #: How many messages should have been sent; None if any number is right.
    ordered: int | None = None

    @property
    def harmless(self) -> bool:
        """True if all outcomes are allowed, and no message got two different answers."""
        return not self.complaints

    @property
    def complaints(self) -> list[str]:
        """A text for each kind of harm that the fault did, such as lost messages."""
        loss = self.loss
        known = loss.answered + loss.kept + loss.broken + sum(loss.failed.values())
        found = [
            f"{count:,} {reason}: not an allowed reason"
            for reason, count in loss.failed.items()
            if reason not in self.allowed_reasons
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
        """Returns this outcome as a row of the Markdown table, for the fault ``name``."""
        loss = self.loss
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in loss.failed.items())
        refused = f"{sum(loss.failed.values()):,}" + (f" ({reasons})" if reasons else "")
        again = f"after {loss.disturbed_s:.1f} s" if loss.disturbed_s else "at once"
        counts = f"{loss.sent:,} | {loss.answered:,} | {loss.kept:,} | {refused}"
        twice = f"{self.contradicted} | {self.computed_twice:,}"
        return f"| {name} | {counts} | {loss.broken} | {twice} | {again} |"


def main() -> int:
    """Runs the faults that ``--only`` selects, or all of them, and prints the table of outcomes.

    Returns 1 if a fault did harm.
    """
    options = _options()
    console = Console()
    found: dict[str, Outcome] = {}
    with tempfile.TemporaryDirectory(prefix="byline-faults-") as path:
        folder = Path(path)
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
    """Starts Byline in ``folder``, causes ``fault`` under load, and returns the outcome."""
    if (promise_fault := fault.promise_fault) is not None:
        with Started(folder, watched(folder) | fault.settings) as system:
            loss = promise_fault(system)
            return Outcome(loss, 0, computed_twice(folder / "calls"), fault.allowed_reasons)
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
        return Outcome(loss, contradicted, twice, fault.allowed_reasons, ordered)


def watched(folder: Path) -> dict[str, str]:
    """Returns settings that make Byline serve the test model instead of the default model.

    The test model is the default model with two additions. It appends a digest of each computed
    text to the file ``calls`` in ``folder``. It becomes slow, or hangs, if the file ``trouble`` in
    ``folder`` says so.
    """
    return {
        "BYLINE_MODEL": "tests.faults.model:Troubled",
        "TEST_MODEL_CALLS": str(folder / "calls"),
        "TEST_MODEL_TROUBLE": str(folder / "trouble"),
    }


def _options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.faults", description=__doc__)
    parser.add_argument("--only", default="", help="run the faults whose names contain this text")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(status("faults", main))
