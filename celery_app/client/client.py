"""Sends messages to the workers, and awaits their answers: for Flask, and any asyncio program."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import NamedTuple

from celery_app.client.dispatch.late import LateMessages
from celery_app.client.dispatcher import Dispatcher
from celery_app.client.entry import Entry
from celery_app.client.redis.model_registry import ModelRegistry
from celery_app.settings import Settings
from monitoring.instruments import request_ids
from tasks.messages import Outcome, message_id, parse_text
from tasks.storage.pending_results import PendingResults

#: Seconds between two looks for an answer that a caller waits for by its id: at first, and at most.
LOOK_S, LONGEST_LOOK_S = 0.05, 0.5
#: Callers of a process that may wait for an answer by its id: each of them asks Redis again and
#: again. Beyond it, nobody waits.
READERS = 1000


class RequestOptions(NamedTuple):
    """What a caller asks for beside the attribution itself."""

    explain: bool
    #: The version that is to answer, and no other.
    model: str | None
    priority: int
    #: Unix time, in seconds.
    deadline: float | None
    #: The same as it was asked for: seconds from then on.
    limit: float | None
    #: Monotonic time until which the caller waits, in seconds.
    patience: float
    #: Is an answer after that worth nothing, because the deadline has passed by then?
    final: bool
    #: The name of the API key; where there are no keys, all are one.
    owner: str = ""


class Client:
    """Sends messages, and finds their outcomes. To be used in one event loop's thread."""

    def __init__(
        self,
        settings: Settings,
        dispatcher: Dispatcher,
        model_registry: ModelRegistry,
        pending_results: PendingResults,
    ) -> None:
        self._max_characters = settings.max_characters
        self.dispatcher = dispatcher
        self.model_registry = model_registry
        self.pending_results = pending_results
        self._late = LateMessages(dispatcher, pending_results)
        self._readers = 0

    def entry(self, text: str, options: RequestOptions) -> Entry:
        """Return a message as it is sent. Raises ``InvalidMessage``, ``NoModel``."""
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
            limit=options.limit,
            owner=options.owner,
            request_id=request_ids.present(),
        )

    async def outcomes(
        self, entries: Sequence[Entry], options: RequestOptions
    ) -> list[tuple[Entry, Outcome | None]]:
        """Send messages and wait for their outcomes. Return the entries to answer with.

        None as outcome: it takes longer than the caller waits, and is promised for later.

        Raises:
            Overloaded: more messages are waiting than may. None was taken.
        """
        joined = self.dispatcher.ask(entries)
        for entry in joined:
            await entry.done.wait(options.patience)
        return await self.late_outcomes(joined, options)

    async def late_outcomes(
        self, joined: Sequence[Entry], options: RequestOptions
    ) -> list[tuple[Entry, Outcome | None]]:
        """Return the same of messages that nobody waits for any longer."""
        return await self._late.outcomes(joined, options.final)

    async def find(
        self, id: str, explain: bool, wait_s: float = 0.0, fetch: bool = True
    ) -> Outcome | None:
        """Return the outcome of the message ``id``; None: it is pending still, after ``wait_s``.

        ``fetch``: the caller gets it, so that it need not be kept for somebody any longer.

        Raises:
            KeyError: no such message is known: never accepted, or long ago.
            BrokerUnavailable, CacheUnavailable: the server that may have it can't be reached.
        """
        if wait_s and self._readers < READERS:
            self._readers += 1
            try:
                await self._wait_for(id, explain, time.monotonic() + wait_s)
            finally:
                self._readers -= 1
        return await (self.pending_results.fetch if fetch else self.pending_results.find)(
            id, explain
        )

    async def _wait_for(self, id: str, explain: bool, until: float) -> None:
        """Wait until a message has an outcome, at most until a monotonic time.

        Nothing is fetched yet: the caller may go away meanwhile.
        """
        look_s = LOOK_S
        while await self.pending_results.find(id, explain) is None:
            left = until - time.monotonic()
            if left <= 0:
                return
            await asyncio.sleep(min(look_s, left))  # between two looks, until the deadline
            look_s = min(2 * look_s, LONGEST_LOOK_S)
