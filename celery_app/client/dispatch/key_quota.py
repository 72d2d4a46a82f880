"""Divides the dispatcher's capacity between API keys, so that no key can take all of it."""

from __future__ import annotations

from celery_app.client.entry import Entry


class KeyQuota:
    """Counts the messages that the dispatcher holds, by owner (API key) and by model version."""

    def __init__(self, capacity: int) -> None:
        """``capacity`` limits the total size of the messages, in units of 2,000 characters.

        The size of each message is rounded up.
        """
        self._capacity = capacity
        #: Total size of each owner's messages, in units of :mod:`tasks.work`.
        self._owners: dict[str, int] = {}
        #: Total size of each model version's messages, in units of :mod:`tasks.work`.
        self._versions: dict[str, int] = {}
        #: Total size of all messages, in units of :mod:`tasks.work`.
        self._taken = 0
        #: Number of messages that the dispatcher holds.
        self.messages = 0

    def has_room(self, owner: str, size: int) -> bool:
        """Returns whether to accept a request of ``owner`` (an API key) with this total size.

        True if the owner has no messages here, or if the request fits into the free capacity. Also
        True if the request and the owner's other messages fit into the owner's share. All owners
        with messages here have equal shares of the capacity.
        """
        held = self._owners.get(owner, 0)
        # Without the exception for owners without messages, a valid request could be refused for
        # ever.
        if not held or self._taken + size <= self._capacity:
            return True
        return held + size <= self._capacity // len(self._owners)

    def is_half_full_of(self, version: str) -> bool:
        """Returns whether the messages for a model version take more than half of the capacity."""
        return self._versions.get(version, 0) > self._capacity // 2

    def take(self, entry: Entry) -> None:
        """Counts a message that the dispatcher accepts."""
        size = entry.size
        self._taken += size
        self.messages += 1
        self._owners[entry.owner] = self._owners.get(entry.owner, 0) + size
        self._versions[entry.version] = self._versions.get(entry.version, 0) + size

    def free(self, entry: Entry) -> None:
        """Stops counting a message, because it has its outcome."""
        size = entry.size
        self._taken -= size
        self.messages -= 1
        _subtract(self._owners, entry.owner, size)
        _subtract(self._versions, entry.version, size)


def _subtract(sizes: dict[str, int], name: str, size: int) -> None:
    left = sizes[name] - size
    if left:
        sizes[name] = left
    else:
        del sizes[name]
