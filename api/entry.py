"""A message on its way through the api, from who asks for it to its outcome."""

from __future__ import annotations

from dataclasses import dataclass, field

from api.signal import Signal
from tasks.messages import Failure, Outcome

Kind = tuple[int, bool, bool]
Key = tuple[str, int, bool, bool]


@dataclass(slots=True, eq=False)
class Entry:
    """One message on its way, shared by all who ask for it."""

    id: str
    text: str
    #: The model version that is a part of the id.
    version: str
    #: Must it be that version, or none?
    exact: bool = False
    explain: bool = False
    priority: int = 0
    #: Unix time, in seconds; None: whenever.
    deadline: float | None = None
    #: How long the caller gave, in seconds: the deadline as it was asked for.
    limit: float | None = None
    #: Must it leave even without a credit? Set once its answer is promised for later.
    urgent: bool = False
    #: Set when the broker has it, or need not have it any more.
    sent: Signal = field(default_factory=Signal)
    #: Set when the outcome is there.
    done: Signal = field(default_factory=Signal)
    outcome: Outcome | None = None

    @property
    def kind(self) -> Kind:
        """Entries of one version and kind may share a chunk."""
        return self.priority, self.explain, self.exact

    @property
    def key(self) -> Key | None:
        """Who asks for the same may join; with a deadline of its own it is nobody else's."""
        return (self.id, *self.kind) if self.deadline is None else None

    def may_be(self, outcome: Outcome) -> bool:
        """Return whether this may be its outcome. Under another version its id is another, too."""
        if isinstance(outcome, Failure):
            return True
        return outcome.id == self.id or outcome.model != self.version

    def settle(self, outcome: Outcome) -> None:
        """Note the outcome, and wake who waits."""
        self.outcome = outcome
        self.done.set()
        self.sent.set()
