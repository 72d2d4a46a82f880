"""What this process answered a short while ago: the nearest cache, a dictionary."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

import msgspec

from tasks.messages import Attribution

#: Share of its size that is left while memory is short.
SHRUNK = 0.125

#: Seconds for which an answer is remembered here. An attribution under its id never changes, but
#: it may be meant to be forgotten, and Redis sees to that.
REMEMBERED_S = 60.0


class LocalCache:
    """The last ``size`` attributions, by id; what was asked for longest ago goes first."""

    def __init__(self, size: int, now: Callable[[], float] = time.monotonic) -> None:
        self._size = self._full = size
        self._now = now
        self._kept: OrderedDict[str, tuple[float, Attribution]] = OrderedDict()

    def get(self, id: str) -> Attribution | None:
        """Return the attribution, marked as cached; None where it is not remembered."""
        kept = self._kept.get(id)
        if kept is None:
            return None
        if kept[0] < self._now():
            del self._kept[id]
            return None
        self._kept.move_to_end(id)
        return kept[1]

    def shrink(self, short: bool) -> None:
        """Remember less while memory is short, and as much as before when it is not."""
        self._size = int(self._full * SHRUNK) if short else self._full
        while len(self._kept) > self._size:
            self._kept.popitem(last=False)

    def put(self, attribution: Attribution) -> None:
        """Remember it, unless it has evidence: that quotes the text, and is not asked for often."""
        if attribution.evidence is not msgspec.UNSET:
            return
        until = self._now() + REMEMBERED_S
        self._kept[attribution.id] = until, msgspec.structs.replace(attribution, cached=True)
        if len(self._kept) > self._size:
            self._kept.popitem(last=False)
