"""Sends messages to the workers, waits for their outcomes, and finds outcomes by message id.

An outcome is an attribution or a failure. Flask's views use this module through :mod:`api.service`,
and asyncio programs through :mod:`celery_app.client.async_client`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import NamedTuple

from redis.asyncio import Redis

from celery_app.client.dispatch.late import LateMessages
from celery_app.client.dispatcher import Dispatcher
from celery_app.client.entry import Entry
from celery_app.client.redis.model_registry import ModelRegistry
from celery_app.settings import Settings
from monitoring.instruments import request_ids, tracing
from tasks.messages import Outcome, message_id, parse_text
from tasks.storage.pending_results import PendingResults

#: Seconds between the first two checks for an outcome that a caller awaits by message id.
LOOK_S = 0.05
#: Longest pause between two checks for an awaited outcome, in seconds. Each pause is twice as
#: long as the pause before.
LONGEST_LOOK_S = 0.5
#: Largest number of callers of one process that wait for outcomes by id. The number is limited
#: because each check asks Redis. A further caller does not wait, and gets the present state.
MAX_READERS = 1000


class RequestOptions(NamedTuple):
    """The options of a request for an attribution."""

    explain: bool
    #: The model version that must answer; None: any.
    model: str | None
    priority: int
    #: The deadline as a Unix time in seconds; None: no deadline.
    deadline: float | None
    #: The deadline as the caller gave it, in seconds after the request.
    deadline_s: float | None
    #: Monotonic time until which the caller waits, in seconds.
    wait_until: float
    #: Whether the caller's wait ends because of the deadline. If so, no late outcome is kept.
    deadline_first: bool
    #: Name of the API key; empty where there are no keys.
    owner: str = ""


class AttributionClient:
    """Sends messages, and finds their outcomes. Use this object in one event loop's thread."""

    def __init__(
        self,
        settings: Settings,
        dispatcher: Dispatcher,
        model_registry: ModelRegistry,
        pending_results: PendingResults,
        clients: Sequence[Redis] = (),
    ) -> None:
        """``clients`` are the Redis clients that :meth:`close` closes."""
        self._max_characters = settings.max_characters
        self.dispatcher = dispatcher
        self.model_registry = model_registry
        self.pending_results = pending_results
        self._clients = clients
        self._late = LateMessages(dispatcher, pending_results)
        self._readers = 0

    async def close(self) -> None:
        """Stops the dispatcher and the threads that read Redis, and closes the connections.

        Messages that have no outcome by then never get an outcome.
        """
        await self.dispatcher.stop()
        for redis in self._clients:
            await redis.aclose()
        await asyncio.to_thread(self.model_registry.stop)

    def entry(self, text: str, options: RequestOptions) -> Entry:
        """Returns a new entry for ``text``: one message with the caller's options.

        Raises:
            InvalidMessage: the text is no valid message, for example because it is empty.
            NoModel: no worker has announced a model.
        """
        valid = parse_text(text, self._max_characters)
        version = options.model or self.model_registry.version_for(valid)
        return Entry(
            message_id(version, valid),
            valid,
            version,
            options.model is not None,
            options.explain,
            options.priority,
            options.deadline,
            deadline_s=options.deadline_s,
            owner=options.owner,
            request_id=request_ids.present(),
            span=None if tracing.tracer is None else tracing.tracer.current(),
        )

    async def outcomes(
        self, entries: Sequence[Entry], options: RequestOptions
    ) -> list[tuple[Entry, Outcome | None]]:
        """Sends messages, waits, and returns each message's entry with its outcome, in order.

        A message that has no outcome when the wait ends gets None or a failure. None means that the
        caller can fetch the outcome later, by the message's id.

        Raises:
            Overloaded: too many messages wait. No message of ``entries`` was accepted.
        """
        joined = self.dispatcher.ask(entries)
        for entry in joined:
            if not entry.done.is_set():
                await entry.done.wait(options.wait_until)
        return await self.late_outcomes(joined, options)

    async def late_outcomes(
        self, joined: Sequence[Entry], options: RequestOptions
    ) -> list[tuple[Entry, Outcome | None]]:
        """Ends the wait of a caller, and returns each entry with its outcome, in order.

        ``joined`` holds the entries from ``Dispatcher.ask``. If a message has no outcome yet,
        Byline tries to keep the outcome for later. If this succeeds, the result has None for the
        message, and the caller can fetch the outcome later, by the message's id. If not, the result
        has a failure.
        """
        return await self._late.outcomes(joined, options.deadline_first)

    async def find(
        self, id: str, explain: bool, wait_s: float = 0.0, fetch: bool = True
    ) -> Outcome | None:
        """Returns a message's outcome; None if the message has no outcome after ``wait_s`` seconds.

        If ``explain`` is True, prefers an outcome with evidence: parts of the text that speak for
        the author. If ``fetch`` is True, the outcome counts as delivered, and Byline may delete it.

        Raises:
            KeyError: the message was never accepted, or its outcome has expired.
            BrokerUnavailable, CacheUnavailable: the server that may have the outcome can't be
                reached.
        """
        if wait_s and self._readers < MAX_READERS:
            self._readers += 1
            try:
                await self._wait_for(id, explain, time.monotonic() + wait_s)
            finally:
                self._readers -= 1
        return await (self.pending_results.fetch if fetch else self.pending_results.find)(
            id, explain
        )

    async def _wait_for(self, id: str, explain: bool, until: float) -> None:
        """Waits until a message has an outcome, or until the monotonic time ``until``.

        This method does not remove the outcome from Redis. So a caller that disconnects during the
        wait can still fetch the outcome later.
        """
        look_s = LOOK_S
        while await self.pending_results.find(id, explain) is None:
            left = until - time.monotonic()
            if left <= 0:
                return
            await asyncio.sleep(min(look_s, left))  # the pause between two checks
            look_s = min(2 * look_s, LONGEST_LOOK_S)
