"""A cache in this process's memory, with the attributions of the last minute."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

import msgspec

from tasks.messages import Attribution

#: Share of its size that the cache keeps while the machine's memory is nearly full.
SHRUNK = 0.125

#: Seconds for which an attribution is kept here. The attribution of an id never changes, but it may
#: be deleted from Redis, and this cache does not notice that.
REMEMBERED_S = 60.0


class LocalCache:
    """Keeps at most ``size`` attributions. Drops the least recently used attribution first."""

    def __init__(self, size: int, now: Callable[[], float] = time.monotonic) -> None:
        self._size = self._full = size
        self._now = now
        self._kept: OrderedDict[str, tuple[float, Attribution]] = OrderedDict()

    def get(self, id: str) -> Attribution | None:
        """Returns the attribution with this id, marked as cached; None if it is not stored here."""
        kept = self._kept.get(id)
        if kept is None:
            return None
        if kept[0] < self._now():
            del self._kept[id]
            return None
        self._kept.move_to_end(id)
        until, attribution = kept
        if not attribution.cached:
            # Copied at the first use, because most attributions are never asked for again.
            attribution = msgspec.structs.replace(attribution, cached=True)
            self._kept[id] = until, attribution
        return attribution

    def shrink(self, short: bool) -> None:
        """Makes the cache smaller if ``short`` is True, which means that memory is short.

        Otherwise restores the cache's original size.
        """
        self._size = int(self._full * SHRUNK) if short else self._full
        while len(self._kept) > self._size:
            self._kept.popitem(last=False)

    def put(self, attribution: Attribution) -> None:
        """Stores an attribution, unless it has evidence."""
        # Evidence quotes the text, and callers seldom ask for evidence.
        if attribution.evidence is not msgspec.UNSET:
            return
        self._kept[attribution.id] = self._now() + REMEMBERED_S, attribution
        if len(self._kept) > self._size:
            self._kept.popitem(last=False)
