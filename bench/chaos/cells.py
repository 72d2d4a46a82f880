"""The matrix: which part is struck, in which phase, by which signal, and what has to follow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bench.faults.__main__ import HONEST
from bench.load.recorder import BROKEN

#: The phases in which nobody is served yet, in order.
#:
#: - starting: the struck process has just been started.
#: - warming: the worker loads its model, and has not signed in.
#: - sample: the runner has just said that it sends its sample message.
BEFORE = ("starting", "warming", "sample")
RUNNING, STOPPING = "running", "stopping"
PHASES = (*BEFORE, RUNNING, STOPPING)
SIGNALS = ("KILL", "STOP", "TERM")
#: The process of ``make run`` itself, and the one that starts the parts for it.
RUNNER, DAEMON = "runner", "supervisord"
#: The parts without which nobody is served.
VITAL = frozenset({"valkey", "worker", "api", DAEMON})
#: With these, the process that holds the clients' connections may end.
HOLDERS = frozenset({"api", DAEMON, RUNNER})


@dataclass(frozen=True, slots=True)
class Cell:
    """One strike."""

    part: str
    phase: str
    signal: str

    @property
    def ends(self) -> bool:
        """Whether the system has to end: it was told to, before the strike or by it."""
        return self.phase == STOPPING or (self.part == RUNNER and self.signal == "TERM")

    @property
    def started_by_hand(self) -> bool:
        """Whether nobody is left to start the system again but its user."""
        return self.part == RUNNER and self.signal == "KILL" and self.phase != STOPPING

    @property
    def replaced(self) -> frozenset[str]:
        """The parts whose processes have to be others after the strike."""
        if self.ends or self.signal == "STOP":
            return frozenset()
        return VITAL if self.part in (DAEMON, RUNNER) else frozenset({self.part})

    @property
    def exit_status(self) -> int:
        """The exit status of a runner that has to end."""
        return -9 if self.part == RUNNER and self.signal == "KILL" else 0

    @property
    def honest(self) -> frozenset[str]:
        """Why a message may have been neither answered nor promised."""
        return HONEST | {BROKEN} if self.phase == STOPPING or self.part in HOLDERS else HONEST

    def __str__(self) -> str:
        return f"{self.part}, {self.phase}, SIG{self.signal}"


def matrix(parts: Iterable[str]) -> Iterator[Cell]:
    """Yields all cells, phase by phase: those that share a running system follow each other."""
    struck = [*parts, DAEMON, RUNNER]
    for phase in PHASES:
        for part in struck:
            for signal in SIGNALS:
                yield Cell(part, phase, signal)
