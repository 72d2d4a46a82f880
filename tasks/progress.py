"""Progress of a chunk that is computed in several passes, as one batch can't hold it."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from tasks.messages import Chunk, Outcome


@dataclass(slots=True)
class Progress:
    """Outcomes of a chunk's first messages; each pass adds those of the next."""

    chunk: Chunk
    #: In the order of the messages.
    outcomes: list[Outcome] = field(default_factory=list)
    #: The same by id: a message that comes twice is computed once.
    settled: dict[str, Outcome] = field(default_factory=dict)

    @property
    def remaining(self) -> int:
        """How many messages no pass has computed yet."""
        return len(self.chunk.texts) - len(self.outcomes)

    @property
    def complete(self) -> bool:
        """Whether every message has its outcome."""
        return not self.remaining

    def part(self, messages: int) -> Chunk:
        """Return the next messages, at most so many, as a chunk. Only the first part has waited."""
        start = len(self.outcomes)
        rest = msgspec.structs.replace(self.chunk, sent_at=None) if start else self.chunk
        return cut(rest, start, start + messages)


def cut(chunk: Chunk, start: int, end: int) -> Chunk:
    """Return the messages from ``start`` to ``end`` as a chunk."""
    texts, deadlines = chunk.texts[start:end], chunk.deadlines[start:end]
    return msgspec.structs.replace(chunk, texts=texts, deadlines=deadlines)
