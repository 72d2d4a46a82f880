"""The limits of a dispatcher: how much it sends and holds, and how long it awaits a reply."""

from __future__ import annotations

import math
from typing import NamedTuple

#: Largest default of the credits of a process. With more chunks in flight, a chunk could count as
#: stalled before its turn: see ``STALLED_FACTOR`` in :mod:`celery_app.client.dispatch.in_flight`.
MOST_CREDITS = 4


class DispatchLimits(NamedTuple):
    """The limits of a dispatcher. The unit of work is one short message (:mod:`tasks.work`)."""

    #: Largest number of chunks with a credit for one model version. At this number, messages wait,
    #: unless they are urgent. None: :meth:`credits_for` derives it from the number of workers.
    credits: int | None
    #: Smallest default of ``credits``.
    fewest_credits: int
    #: Number of processes that share the default: those of this api server.
    processes: int
    #: Limit of the work of a chunk of several messages. A chunk of one message may have more work.
    chunk_work: int
    #: Largest total size of the messages that have no outcome yet, in units of :mod:`tasks.work`.
    capacity: int
    #: Seconds after which a chunk without a reply is given up: its messages fail.
    answer_s: float

    def credits_for(self, workers: int) -> int:
        """Returns how many credits a process has, for a model version with ``workers`` workers.

        A credit is a permit to have a chunk in flight. By default, all processes of the API server
        together have one credit more than there are workers. The share of each process is rounded
        up, and is between ``fewest_credits`` and :data:`MOST_CREDITS`.
        """
        if self.credits is not None:
            return self.credits
        # Each worker computes one chunk, and the next chunk is on its way. More chunks would only
        # wait, without the messages that come in the meantime.
        share = math.ceil((workers + 1) / self.processes)
        return min(max(share, self.fewest_credits), MOST_CREDITS)
