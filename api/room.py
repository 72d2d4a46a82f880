"""How much an api process holds unanswered, and whose it is: one key must not take all the room."""

from __future__ import annotations

from collections import Counter

from api.entry import Entry


class Room:
    """Room for so many messages' worth of characters."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        #: What is taken: by owner, by version, and together; and by how many messages.
        self._owners: Counter[str] = Counter()
        self._versions: Counter[str] = Counter()
        self._taken = 0
        self.messages = 0

    def holds(self, owner: str, size: int) -> bool:
        """Return whether a request of so much is let in.

        Where not all of it fits, an owner may still have an equal share of the room, beside others
        who had more before. An owner of whom nothing waits is let in with any request: a legal one
        must not be refused for ever.
        """
        held = self._owners[owner]
        if not held or self._taken + size <= self._capacity:
            return True
        return held + size <= self._capacity // len(self._owners)

    def is_half_full_of(self, version: str) -> bool:
        """Return whether more than half of the room is taken by messages for one version."""
        return self._versions[version] > self._capacity // 2

    def take(self, entry: Entry) -> None:
        """Note that a message is held."""
        self._change(entry, 1)

    def free(self, entry: Entry) -> None:
        """Note that it is answered."""
        self._change(entry, -1)

    def _change(self, entry: Entry, sign: int) -> None:
        size = sign * entry.size
        self.messages += sign
        self._taken += size
        for taken, name in ((self._owners, entry.owner), (self._versions, entry.version)):
            taken[name] += size
            if not taken[name]:
                del taken[name]
