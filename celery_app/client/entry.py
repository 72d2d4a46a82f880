"""An entry: one message on its way through this process, from the caller to its outcome."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from celery_app.client.dispatch.completion import Completion
from tasks.messages import Failure, Outcome
from tasks.work import EVIDENCE, size

if TYPE_CHECKING:
    from opentelemetry.trace import Span

Kind = tuple[int, bool, bool]
JoinKey = tuple[str, str, int, bool, bool]

#: The least urgent priority of a message. The most urgent priority is 0.
LOWEST_PRIORITY = 9
#: Number added to the priority of a message that is sent without a credit. Redis has separate lists
#: for priorities that differ by this number.
NO_CREDIT_PENALTY = 3


@dataclass(slots=True, eq=False)
class Entry:
    """One message with its options and its outcome.

    Callers that ask for the same message can share one entry (see :attr:`join_key`).
    """

    id: str
    text: str
    #: The model version, which is a part of the id.
    version: str
    #: Whether only this version may answer.
    exact: bool = False
    explain: bool = False
    priority: int = 0
    #: The deadline as a Unix time in seconds; None: the message has no deadline.
    deadline: float | None = None
    #: The deadline as the caller gave it, in seconds after the request.
    deadline_s: float | None = None
    #: Whether the message must be sent even without a credit, because the caller stops waiting.
    urgent: bool = False
    #: Whether the outcome is promised: a caller can fetch it later by the message's id.
    promised: bool = False
    #: Whether a caller got the response that the message is pending.
    reported_pending: bool = False
    #: Set when the broker has the message, or when the message has its outcome.
    sent: Completion = field(default_factory=Completion)
    #: Set when the message has its outcome.
    done: Completion = field(default_factory=Completion)
    outcome: Outcome | None = None
    #: Name of the API key that the message came with; empty where there are no keys.
    owner: str = ""
    #: Id of the first request with this message. Requests that join the entry later are not
    #: recorded.
    request_id: str = ""
    #: OpenTelemetry span of the request with ``request_id``; None while tracing is off.
    span: Span | None = None
    #: Work of the message in units of :mod:`tasks.work`.
    work: int = field(init=False)
    #: Part of the dispatcher's capacity that the message takes, in units of :mod:`tasks.work`.
    #: The size does not include evidence, since evidence takes no memory in the dispatcher until a
    #: worker has computed it.
    size: int = field(init=False)
    #: The options that all messages of a chunk have in common: priority, explain and exact. With
    #: ``explain``, the caller wants evidence. With ``exact``, no other model version may answer.
    #: The messages of a chunk also have one model version.
    kind: Kind = field(init=False)
    #: The key by which later requests for the same message find this entry and share it. None if
    #: the message has a deadline. Two owners (API keys) never share an entry: a message of one
    #: owner could wait as long as the messages of the other owner.
    join_key: JoinKey | None = field(init=False)
    #: Whether the message was sent without a credit. Its priority in the broker's queue is then
    #: lower.
    without_credit: bool = False

    def __post_init__(self) -> None:
        self.size = size(self.text)
        self.work = self.size * EVIDENCE if self.explain else self.size
        self.kind = self.priority, self.explain, self.exact
        self.join_key = (self.id, self.owner, *self.kind) if self.deadline is None else None

    @property
    def queue_priority(self) -> int:
        """The message's priority in the broker's queue, from 0 (first) to 9 (last).

        A message that was sent without a credit (a permit to be in flight) gets a larger number.
        """
        # The caller has stopped waiting for the message, so the message must not delay others.
        if self.without_credit:
            return min(LOWEST_PRIORITY, self.priority + NO_CREDIT_PENALTY)
        return self.priority

    def may_be(self, outcome: Outcome) -> bool:
        """Returns whether ``outcome`` can be the outcome of this message.

        A failure is always accepted, and so is an attribution by another model version. An
        attribution by the message's own version must have the message's id.
        """
        if isinstance(outcome, Failure):
            return True
        # A message's id depends on the version. So the id is not checked if the version differs.
        return outcome.id == self.id or outcome.model != self.version

    def settle(self, outcome: Outcome) -> None:
        """Sets the outcome of the message, and wakes all callers that wait for it."""
        self.outcome = outcome
        self.done.set()
        self.sent.set()
