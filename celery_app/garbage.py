"""Two settings of Python's garbage collector, for a process that has started and now serves."""

from __future__ import annotations

import gc

#: Number of new objects after which the collector runs in a process of the API. A message's objects
#: form no reference cycle, so Python frees them after the response. With hundreds of messages in
#: progress, Python's default threshold cost a twelfth of the CPU time.
THRESHOLD = 20_000


def freeze() -> None:
    """Makes the collector ignore all objects that exist now. Call this after the start.

    These objects stay until the process ends. To search them took 40 ms of each second in a process
    of the API, and no thread of the process runs meanwhile.
    """
    gc.collect()
    gc.freeze()


def freeze_and_search_seldom() -> None:
    """Does what :func:`freeze` does, and makes the collector run once in ``THRESHOLD`` objects."""
    freeze()
    gc.set_threshold(THRESHOLD)
