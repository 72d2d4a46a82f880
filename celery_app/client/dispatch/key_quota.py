"""Divides the dispatcher's room between API keys, so that one key can't take all of it."""

from __future__ import annotations

from celery_app.client.entry import Entry


class KeyQuota:
    """Counts the messages that the dispatcher holds, by owner (API key) and by model version."""

    def __init__(self, capacity: int) -> None:
        """``capacity`` is the room for messages, in units of :mod:`tasks.work`."""
        self._capacity = capacity
        #: Room taken by each owner, in units of :mod:`tasks.work`.
        self._owners: dict[str, int] = {}
        #: Room taken by each version, in the same units.
        self._versions: dict[str, int] = {}
        #: Room taken in all, in the same units.
        self._taken = 0
        #: Messages held.
        self.messages = 0

    def has_room(self, owner: str, size: int) -> bool:
        """Returns whether to accept a request of an owner whose messages take the room ``size``.

        A request that fits into the free room is accepted. Any other request is accepted if the
        owner's messages then take no more than an equal share of the whole room. An owner without
        any message here may send a request of any size: a valid request must not be refused for
        ever.
        """
        held = self._owners.get(owner, 0)
        if not held or self._taken + size <= self._capacity:
            return True
        return held + size <= self._capacity // len(self._owners)

    def is_half_full_of(self, version: str) -> bool:
        """Returns whether the messages for one model version take more than half of all room."""
        return self._versions.get(version, 0) > self._capacity // 2

    def take(self, entry: Entry) -> None:
        """Counts a message that the dispatcher accepts."""
        self._change(entry.owner, entry.version, entry.size)
        self.messages += 1

    def free(self, entry: Entry) -> None:
        """Stops counting a message, which has its outcome now."""
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
