"""Progress of a chunk that is computed in several passes, as one batch can't hold it."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import accumulate

import msgspec

from tasks.messages import Chunk, Outcome
from tasks.work import work


@dataclass(slots=True)
class Progress:
    """Outcomes of a chunk's first messages; each pass adds those of the next."""

    chunk: Chunk
    #: In the order of the messages.
    outcomes: list[Outcome] = field(default_factory=list)
    #: The same by id: a message that comes twice is computed once.
    settled: dict[str, Outcome] = field(default_factory=dict)
    #: The work of the first messages together: of none of them, of one, and so on.
    _work: list[int] = field(init=False)

    def __post_init__(self) -> None:
        chunk = self.chunk
        self._work = list(accumulate((work(t, chunk.explain) for t in chunk.texts), initial=0))

    @property
    def remaining(self) -> int:
        """How many messages no pass has computed yet."""
        return len(self.chunk.texts) - len(self.outcomes)

    @property
    def work(self) -> int:
        """How much work no pass has done yet."""
        return self._work[-1] - self._work[len(self.outcomes)]

    @property
    def complete(self) -> bool:
        """Whether every message has its outcome."""
        return not self.remaining

    def part(self, work: int) -> Chunk:
        """Return the next messages as a chunk: one, and then as many as so much work allows.

        Only the first part has waited.
        """
        start = len(self.outcomes)
        end = max(start + 1, bisect_right(self._work, self._work[start] + work) - 1)
        rest = msgspec.structs.replace(self.chunk, sent_at=None) if start else self.chunk
        return cut(rest, start, end)


def cut(chunk: Chunk, start: int, end: int) -> Chunk:
    """Return the messages from ``start`` to ``end`` as a chunk."""
    return msgspec.structs.replace(
        chunk,
        texts=chunk.texts[start:end],
        deadlines=chunk.deadlines[start:end],
        request_ids=chunk.request_ids[start:end],
    )
