"""The limits of a dispatcher: how much it sends and holds, and how long it waits for a reply."""

from __future__ import annotations

from typing import NamedTuple


class DispatchLimits(NamedTuple):
    """The limits of a dispatcher. Work and room are in units of :mod:`tasks.work`."""

    #: Chunks in flight for one model version; beyond that, messages gather.
    credits: int
    #: Work of the largest chunk.
    chunk_work: int
    #: Room for the messages that have no outcome yet.
    capacity: int
    #: Seconds after which a chunk without a reply is given up, and its credit is free.
    answer_s: float
