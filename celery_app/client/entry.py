"""A message on its way through the api, from who asks for it to its outcome."""

from __future__ import annotations

from dataclasses import dataclass, field

from celery_app.client.dispatch.completion import Completion
from tasks.messages import Failure, Outcome
from tasks.work import EVIDENCE, size

Kind = tuple[int, bool, bool]
Key = tuple[str, str, int, bool, bool]

#: The last priority, and by how much what leaves without a credit is put behind others: by one of
#: the steps that have a list of their own in Redis.
LAST, BEHIND = 9, 3


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
    #: Must it leave even without a credit? Its answer is to be promised for later.
    urgent: bool = False
    #: Is the answer promised?
    promised: bool = False
    #: Was somebody told so?
    told: bool = False
    #: Set when the broker has it, or need not have it any more.
    sent: Completion = field(default_factory=Completion)
    #: Set when the outcome is there.
    done: Completion = field(default_factory=Completion)
    outcome: Outcome | None = None
    #: The name of the API key that it came with; where there are no keys, all are one.
    owner: str = ""
    #: The id of the request that it came with; one that joins this message is not named.
    request_id: str = ""
    #: How much work it is, see :mod:`tasks.work`; and the room it takes, evidence aside: that takes
    #: none before it is there.
    work: int = field(init=False)
    size: int = field(init=False)
    #: Did it leave without a credit? Then it is queued behind those that have one.
    behind: bool = False

    def __post_init__(self) -> None:
        self.size = size(self.text)
        self.work = self.size * EVIDENCE if self.explain else self.size

    @property
    def rank(self) -> int:
        """The priority that it has in the queue. Nobody waits for what is behind."""
        return min(LAST, self.priority + BEHIND) if self.behind else self.priority

    @property
    def kind(self) -> Kind:
        """Entries of one version and kind may share a chunk."""
        return self.priority, self.explain, self.exact

    @property
    def key(self) -> Key | None:
        """Who asks for the same may join; with a deadline of its own it is nobody else's.

        Nor does it join the message of another owner, who may have a long queue.
        """
        return (self.id, self.owner, *self.kind) if self.deadline is None else None

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
