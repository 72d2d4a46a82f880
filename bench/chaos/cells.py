"""The cases of ``make chaos``. A case sends one signal to one part of Byline in one phase.

A phase is a stage of Byline's life: before it serves clients, while it serves, and while it stops.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bench.faults.__main__ import HONEST
from bench.load.recorder import BROKEN

#: The phases before the system serves clients, in order.
#:
#: - starting: the process that gets the signal has just been started.
#: - warming: the worker loads its model, and does not take tasks yet.
#: - sample: ``make run`` has just printed that it sends its sample message.
BEFORE = ("starting", "warming", "sample")
#: The phase in which the system serves clients.
RUNNING = "running"
#: The phase after Ctrl-C.
STOPPING = "stopping"
PHASES = (*BEFORE, RUNNING, STOPPING)
SIGNALS = ("KILL", "STOP", "TERM")
#: The process of ``make run`` itself.
RUNNER = "runner"
#: The process that starts the parts for ``make run``.
DAEMON = "supervisord"
#: The system can't serve clients without these parts.
VITAL = frozenset({"valkey", "worker", "api", DAEMON})
#: When one of these parts ends, the api is allowed to end, too. The api holds the clients'
#: connections.
HOLDERS = frozenset({"api", DAEMON, RUNNER})


@dataclass(frozen=True, slots=True)
class Cell:
    """One case: a signal, the part of Byline that gets it, and the phase in which it is sent."""

    part: str
    phase: str
    signal: str

    @property
    def ends(self) -> bool:
        """True if Byline must end: after Ctrl-C, or because ``make run`` gets SIGTERM."""
        return self.phase == STOPPING or (self.part == RUNNER and self.signal == "TERM")

    @property
    def started_by_hand(self) -> bool:
        """True if the test itself has to start Byline again, because SIGKILL ends ``make run``."""
        return self.part == RUNNER and self.signal == "KILL" and self.phase != STOPPING

    @property
    def replaced(self) -> frozenset[str]:
        """The names of the parts that must run in a new process after the signal."""
        if self.ends or self.signal == "STOP":
            return frozenset()
        return VITAL if self.part in (DAEMON, RUNNER) else frozenset({self.part})

    @property
    def exit_status(self) -> int:
        """The exit status with which the runner, the process of ``make run``, has to end."""
        return -9 if self.part == RUNNER and self.signal == "KILL" else 0

    @property
    def allowed_reasons(self) -> frozenset[str]:
        """The reasons for which Byline may refuse a message, or cut a connection, in this case."""
        return HONEST | {BROKEN} if self.phase == STOPPING or self.part in HOLDERS else HONEST

    def __str__(self) -> str:
        return f"{self.part}, {self.phase}, SIG{self.signal}"


def matrix(parts: Iterable[str]) -> Iterator[Cell]:
    """Yields a case for each phase, part and signal.

    Besides the given ``parts``, supervisord and the process of ``make run`` count as parts. Cases
    of one phase follow one another, so that they can share a running system.
    """
    struck = [*parts, DAEMON, RUNNER]
    for phase in PHASES:
        for part in struck:
            for signal in SIGNALS:
                yield Cell(part, phase, signal)
