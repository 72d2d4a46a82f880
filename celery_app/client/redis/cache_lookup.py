"""Looks up messages in the result cache, as many as possible with one MGET command.

The fixed CPU time of an MGET is as long as the time that ten messages add to it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from redis import RedisError

from celery_app.client import spans
from celery_app.client.dispatch.version_queues import VersionQueues
from celery_app.client.entry import Entry
from celery_app.client.redis.result_store import ResultStore
from monitoring.instruments import tracing
from monitoring.instruments.request_ids import about
from tasks.cooldown import Cooldown
from tasks.messages import Outcome, suffices

logger = logging.getLogger(__name__)

#: Number of messages at which the lookup starts without delay. A smaller number of messages waits
#: for further messages while chunks are in flight, because it could not be sent at once anyway.
WORTH_A_LOOK = 32
#: Longest time that this smaller number of messages waits for the lookup, in seconds.
GATHER_S = 0.002
#: Seconds without lookups after the cache has failed. Messages then go to the workers, which look
#: them up as well.
REST_S = 5.0


class CacheLookup:
    """Gathers messages, and looks them up together. Use this object in one event loop's thread."""

    def __init__(
        self, result_store: ResultStore, version_queues: VersionQueues, wake: asyncio.Event
    ) -> None:
        """The event ``wake`` wakes the dispatcher, which then calls :meth:`look_up`."""
        self._result_store = result_store
        self._version_queues = version_queues
        self._wake = wake
        self._cooldown = Cooldown(REST_S)
        self._entries: list[Entry] = []
        #: Timer that sets ``wake``; None if no timer runs.
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, entry: Entry) -> None:
        """Adds a message to the next lookup."""
        self._entries.append(entry)

    def wake_dispatcher(self) -> None:
        """Wakes the dispatcher, so that the dispatcher calls :meth:`look_up`.

        If fewer than ``WORTH_A_LOOK`` messages are gathered, and chunks are in flight, the
        dispatcher wakes ``GATHER_S`` seconds later.
        """
        few = len(self._entries) < WORTH_A_LOOK
        if few and self._timer is not None:
            return
        if few and self._version_queues.busy:
            self._timer = asyncio.get_running_loop().call_later(GATHER_S, self._timer_ended)
        else:
            self._wake.set()

    def _timer_ended(self) -> None:
        self._timer = None
        self._wake.set()

    async def look_up(self) -> list[tuple[Entry, Outcome | None]]:
        """Looks up all gathered messages in the cache, and returns each entry with its outcome.

        The outcome is None if the cache has no outcome, or lacks the evidence that the caller asked
        for.
        """
        entries, self._entries = self._entries, []
        found = await self._found(entries) if entries else {}
        outcomes = ((entry, found.get(entry.id)) for entry in entries)
        return [
            (entry, known if known is not None and suffices(known, entry.explain) else None)
            for entry, known in outcomes
        ]

    async def _found(self, entries: Sequence[Entry]) -> dict[str, Outcome]:
        try:
            if not self._cooldown.resting:
                return await self._look_up(entries)
        except RedisError as error:  # the worker can still compute
            logger.warning("the cache can't be read: %s", error)
            self._cooldown.failed()
        except Exception:  # a defect; the callers must still get an answer
            with about([entry.request_id for entry in entries]):
                logger.exception("the cache's contents can't be used")
        return {}

    async def _look_up(self, entries: Sequence[Entry]) -> dict[str, Outcome]:
        ids = [entry.id for entry in entries]
        if tracing.tracer is None:
            return await self._result_store.look_up(ids)
        with spans.looking_up(tracing.tracer, entries) as span:
            found = await self._result_store.look_up(ids)
            span.set_attribute("byline.found", len(found))
            return found
