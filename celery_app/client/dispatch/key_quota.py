"""The dispatcher's room, counted by API key: one key must not take all of it."""

from __future__ import annotations

from celery_app.client.entry import Entry


class KeyQuota:
    """Room for so many messages' worth of characters."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        #: What is taken: by owner, by version, and together; and by how many messages.
        self._owners: dict[str, int] = {}
        self._versions: dict[str, int] = {}
        self._taken = 0
        self.messages = 0

    def holds(self, owner: str, size: int) -> bool:
        """Return whether a request of so much is let in.

        Where not all of it fits, an owner may still have an equal share of the room, beside others
        who had more before. An owner of whom nothing waits is let in with any request: a legal one
        must not be refused for ever.
        """
        held = self._owners.get(owner, 0)
        if not held or self._taken + size <= self._capacity:
            return True
        return held + size <= self._capacity // len(self._owners)

    def is_half_full_of(self, version: str) -> bool:
        """Return whether more than half of the room is taken by messages for one version."""
        return self._versions.get(version, 0) > self._capacity // 2

    def take(self, entry: Entry) -> None:
        """Note that a message is held."""
        self._change(entry.owner, entry.version, entry.size)
        self.messages += 1

    def free(self, entry: Entry) -> None:
        """Note that it is answered."""
        self._change(entry.owner, entry.version, -entry.size)
        self.messages -= 1
        if not self._owners[entry.owner]:
            del self._owners[entry.owner]
        if not self._versions[entry.version]:
            del self._versions[entry.version]

    def _change(self, owner: str, version: str, size: int) -> None:
        self._taken += size
        self._owners[owner] = self._owners.get(owner, 0) + size
        self._versions[version] = self._versions.get(version, 0) + size
