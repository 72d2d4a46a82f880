"""The limits of a dispatcher: how much it sends and holds, and how long it awaits a reply."""

from __future__ import annotations

from typing import NamedTuple


class DispatchLimits(NamedTuple):
    """The limits of a dispatcher. Work and capacity are in units of :mod:`tasks.work`."""

    #: Largest number of chunks with a credit for one model version. At this number, messages wait,
    #: unless they are urgent.
    credits: int
    #: Limit of the work of a chunk of several messages. A chunk of one message may have more work.
    chunk_work: int
    #: Largest total size of the messages that have no outcome yet.
    capacity: int
    #: Seconds after which a chunk without a reply is given up: its messages fail.
    answer_s: float
