"""Makes Python's garbage collector do less work, in a process that has finished its start."""

from __future__ import annotations

import gc

#: Number of new objects after which the collector runs in a process of the API. A message's objects
#: form no reference cycle, so Python frees them without the collector. With hundreds of messages
#: in progress, the collector took a twelfth of the CPU time at Python's default threshold.
THRESHOLD = 20_000


def freeze() -> None:
    """Makes the collector ignore all present objects. Call this after the start of a process."""
    gc.collect()
    # Nearly all present objects live until the process ends. Without this call, the
    # collector of an API process searched them for 40 ms of each second. No thread of a process
    # runs during a search.
    gc.freeze()


def freeze_and_search_seldom() -> None:
    """Calls :func:`freeze`, and makes the collector run once per ``THRESHOLD`` new objects."""
    freeze()
    gc.set_threshold(THRESHOLD)
