"""A queue of messages that serves all API keys fairly, however many messages each key sends.

The method is deficit round robin (Shreedhar and Varghese, 1995). In each turn, a key may send
messages of a fixed amount of work, and keeps the unused amount for its next turn. A long message is
more work than a short message (:mod:`tasks.work`).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from celery_app.client.entry import Entry

#: Work that a key may send in each turn, in units of :mod:`tasks.work`. One short message with
#: evidence has this work.
QUANTUM = 8


@dataclass(slots=True, eq=False)
class Share:
    """The waiting messages of one owner (an API key). The oldest message leaves first."""

    entries: deque[Entry] = field(default_factory=deque)
    #: Work of all waiting messages of the owner, in units of :mod:`tasks.work`.
    work: int = 0
    #: Work that the owner may still send in this turn.
    deficit: int = QUANTUM

    def move(self, taken: list[Entry], room: int, allowed: float) -> int:
        """Moves the owner's oldest messages to the list ``taken``, and returns their work.

        ``room`` is the work that still fits into the chunk. ``allowed`` is the work that the owner
        may send now. The unit of work is one short message (:mod:`tasks.work`). If ``taken`` is
        empty, the first message may be larger than ``room``.
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
    """The waiting messages of one kind, of all owners.

    Messages of one kind have the same priority and options (``Entry.kind``). An owner is an API
    key. Messages of one owner leave in the order in which they came.
    """

    def __init__(self) -> None:
        #: Waiting messages by owner.
        self._shares: dict[str, Share] = {}
        #: The owners, in the order of their turns.
        self._turns: deque[str] = deque()
        #: Work of all messages, in units of :mod:`tasks.work`.
        self.work = 0
        #: Unix time in seconds. No message has a deadline before this time.
        self._earliest = math.inf

    def __bool__(self) -> bool:
        return bool(self._turns)

    def add(self, entry: Entry) -> None:
        """Adds a message behind the other messages of its owner (an API key)."""
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
        """Removes the next messages from the queue, and returns them as a list.

        The list has at least one message, if any message waits. A list of several messages is at
        most as much work as ``work`` short messages (:mod:`tasks.work`).
        """
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
            # The unused rest is kept. So keys with long and with short messages send the same work.
            share.deficit += QUANTUM
            self._turns.rotate(-1)
        return taken

    def take_urgent(self, work: int) -> list[Entry]:
        """Removes urgent messages, whose callers stop waiting, from the queue, and returns them.

        The list has at least one message, if any urgent message waits. A list of several messages
        is at most as much work as ``work`` short messages (:mod:`tasks.work`).
        """
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
        """Removes all messages whose deadline is before the Unix time ``now``, and returns them."""
        if self._earliest >= now:
            return []
        dropped: list[Entry] = []
        self._earliest = math.inf
        for owner, share in list(self._shares.items()):
            with_deadline = [(e.deadline, e) for e in share.entries if e.deadline is not None]
            late = [entry for deadline, entry in with_deadline if deadline < now]
            in_time = (deadline for deadline, _ in with_deadline if deadline >= now)
            self._earliest = min(self._earliest, *in_time, math.inf)
            self._remove(owner, late)
            dropped += late
        return dropped

    def ahead_of(self, entry: Entry) -> int:
        """Returns the work that would leave this queue before ``entry``, if ``entry`` were added.

        The unit of work is one short message (:mod:`tasks.work`).
        """
        own = self._shares.get(entry.owner)
        before = own.work if own else 0
        if len(self._shares) == (own is not None):
            return before
        reach = before + entry.work + QUANTUM
        others = (share.work for share in self._shares.values() if share is not own)
        return before + sum(min(work, reach) for work in others)

    def newest(self, work: int) -> list[Entry]:
        """Returns a list of the newest messages, without removing them from the queue.

        The newest message of each owner comes first, then the second newest of each owner, and so
        on. The list ends when it is as much work as ``work`` short messages (:mod:`tasks.work`).
        """
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
