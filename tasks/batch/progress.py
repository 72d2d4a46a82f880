"""Tracks a chunk that is computed in several batches, because one batch would take too long.

Each of these batches is called a pass.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import accumulate

import msgspec

from tasks.messages import Chunk, Outcome
from tasks.work import work


@dataclass(slots=True)
class Progress:
    """The outcomes that the passes over a chunk have computed so far.

    A pass is a batch with some of the chunk's messages. Each pass adds the outcomes of the messages
    that come next in the chunk.
    """

    chunk: Chunk
    #: Outcomes in the order of the messages.
    outcomes: list[Outcome] = field(default_factory=list)
    #: The same outcomes by message id, so that a duplicate is not computed again.
    outcomes_by_id: dict[str, Outcome] = field(default_factory=dict)
    #: Item i is the work of the first i messages, in units of :mod:`tasks.work`.
    _work: list[int] = field(init=False)

    def __post_init__(self) -> None:
        chunk = self.chunk
        self._work = list(accumulate((work(t, chunk.explain) for t in chunk.texts), initial=0))

    @property
    def remaining(self) -> int:
        """The number of messages that have no outcome yet."""
        return len(self.chunk.texts) - len(self.outcomes)

    @property
    def work(self) -> int:
        """The work of the messages without an outcome, in units of one short message."""
        return self._work[-1] - self._work[len(self.outcomes)]

    @property
    def complete(self) -> bool:
        """Whether every message has its outcome."""
        return not self.remaining

    def part(self, work: int) -> Chunk:
        """Returns a smaller chunk, called a part, with the next messages that have no outcome yet.

        ``work`` limits the part's work, in units of one short message. The part has at least one
        message, even if this message has more work.
        """
        start = len(self.outcomes)
        end = max(start + 1, bisect_right(self._work, self._work[start] + work) - 1)
        # Only the first part keeps the time of sending: the wait in the queue is measured once.
        rest = msgspec.structs.replace(self.chunk, sent_at=None) if start else self.chunk
        return slice_chunk(rest, start, end)


def slice_chunk(chunk: Chunk, start: int, end: int) -> Chunk:
    """Returns a copy of ``chunk`` with only the messages from ``start`` to ``end - 1``."""
    return msgspec.structs.replace(
        chunk,
        texts=chunk.texts[start:end],
        deadlines=chunk.deadlines[start:end],
        request_ids=chunk.request_ids[start:end],
    )
