"""The messages that wait to leave, in fair shares between API keys.

Deficit round robin (Shreedhar and Varghese, 1995): the keys whose messages wait take turns. Each
turn adds to the work that a key may send. A key keeps what it has not used until its next turn, so
that long messages get no larger share than short ones.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from celery_app.client.entry import Entry

#: Work that a turn is good for: one message with evidence.
QUANTUM = 8


@dataclass(slots=True, eq=False)
class Share:
    """The messages of one owner, first come, first served."""

    entries: deque[Entry] = field(default_factory=deque)
    work: int = 0
    #: Work that may leave before it is the next owner's turn.
    deficit: int = QUANTUM

    def move(self, taken: list[Entry], room: int, allowed: float) -> int:
        """Move messages to those taken, as far as room and allowance go; return their work.

        The first one of all needs no room.
        """
        entries, moved = self.entries, 0
        while entries:
            cost = entries[0].work
            if moved + cost > allowed or (taken and moved + cost > room):
                break
            taken.append(entries.popleft())
            moved += cost
        self.work -= moved
        return moved


class FairQueue:
    """Messages of one kind. Those of one owner leave in the order in which they came."""

    def __init__(self) -> None:
        #: By owner, and those of them in the order of their turns.
        self._shares: dict[str, Share] = {}
        self._turns: deque[str] = deque()
        #: All that waits.
        self.work = 0
        #: No deadline is before this Unix time, in seconds.
        self._earliest = math.inf

    def __bool__(self) -> bool:
        return bool(self._turns)

    def add(self, entry: Entry) -> None:
        """Have a message wait behind its owner's others."""
        share = self._shares.get(entry.owner)
        if share is None:
            share = self._shares[entry.owner] = Share()
            self._turns.append(entry.owner)
        share.entries.append(entry)
        share.work += entry.work
        self.work += entry.work
        if entry.deadline is not None and entry.deadline < self._earliest:
            self._earliest = entry.deadline

    def take(self, work: int) -> list[Entry]:
        """Take the next messages: one, and then as many as so much work allows."""
        taken: list[Entry] = []
        while self._turns:
            owner, alone = self._turns[0], len(self._turns) == 1
            share = self._shares[owner]
            moved = share.move(taken, work, math.inf if alone else share.deficit)
            work -= moved
            self.work -= moved
            if not share.entries:
                self._forget(owner)
                continue
            if not alone:
                share.deficit -= moved
            if taken and share.entries[0].work > work:
                break  # the turn goes on with the next chunk
            share.deficit += QUANTUM
            self._turns.rotate(-1)
        return taken

    def take_urgent(self, work: int) -> list[Entry]:
        """Take those that must leave: one, and then as many as so much work allows."""
        taken: list[Entry] = []
        for owner, share in list(self._shares.items()):
            before = len(taken)
            for entry in [entry for entry in share.entries if entry.urgent]:
                if taken and entry.work > work:
                    break
                taken.append(entry)
                work -= entry.work
            self._remove(owner, taken[before:])
        return taken

    def drop_late(self, now: float) -> list[Entry]:
        """Take those whose deadline has passed by the Unix time ``now``."""
        if self._earliest >= now:
            return []
        dropped: list[Entry] = []
        self._earliest = math.inf
        for owner, share in list(self._shares.items()):
            hurried = [(e.deadline, e) for e in share.entries if e.deadline is not None]
            late = [entry for deadline, entry in hurried if deadline < now]
            in_time = (deadline for deadline, _ in hurried if deadline >= now)
            self._earliest = min(self._earliest, *in_time, math.inf)
            self._remove(owner, late)
            dropped += late
        return dropped

    def ahead_of(self, entry: Entry) -> int:
        """Return how much work would leave before a message that came now."""
        own = self._shares.get(entry.owner)
        before = own.work if own else 0
        if len(self._shares) == (own is not None):
            return before
        reach = before + entry.work + QUANTUM
        others = (share.work for share in self._shares.values() if share is not own)
        return before + sum(min(work, reach) for work in others)

    def last(self, work: int) -> list[Entry]:
        """Return the messages that came last, of each owner in turn, up to so much work."""
        found: list[Entry] = []
        ends = [reversed(share.entries) for share in self._shares.values()]
        while ends and work > 0:
            for end in tuple(ends):
                entry = next(end, None)
                if entry is None:
                    ends.remove(end)
                elif work > 0:
                    found.append(entry)
                    work -= entry.work
        return found

    def _remove(self, owner: str, entries: Sequence[Entry]) -> None:
        if not entries:
            return
        share, leaving = self._shares[owner], set(map(id, entries))
        share.entries = deque(entry for entry in share.entries if id(entry) not in leaving)
        work = sum(entry.work for entry in entries)
        share.work -= work
        self.work -= work
        if not share.entries:
            self._forget(owner)

    def _forget(self, owner: str) -> None:
        del self._shares[owner]
        self._turns.remove(owner)
