"""Handles late messages: messages without an outcome when their caller stops waiting.

A late message fails, or its outcome is promised: the caller gets the status 202 and an id, and can
fetch the outcome later by this id.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from functools import partial

from redis import RedisError

from celery_app.client.dispatcher import Dispatcher
from celery_app.client.entry import Entry
from monitoring.instruments.request_ids import about
from tasks.errors import BrokerUnavailable, BylineError, NoAnswer, Overloaded
from tasks.messages import Failure, Outcome
from tasks.storage.pending_results import PendingResults

logger = logging.getLogger(__name__)

#: Longest time until the broker takes a late message, and longest time until the broker then
#: promises the outcome, each in seconds. After either time, the message fails.
ACCEPT_S = 5.0


class LateMessages:
    """Promises the outcomes of late messages, whose callers stop waiting.

    The broker keeps a promised outcome, so that the caller can fetch it later. Use this object in
    one event loop's thread.
    """

    def __init__(self, dispatcher: Dispatcher, pending_results: PendingResults) -> None:
        self._dispatcher = dispatcher
        self._pending_results = pending_results
        #: Asyncio tasks that store or release promised outcomes.
        self._tasks: set[asyncio.Task[None]] = set()

    async def outcomes(
        self, joined: Sequence[Entry], deadline_first: bool
    ) -> list[tuple[Entry, Outcome | None]]:
        """Returns each entry with its outcome, in order.

        A late message gets None or a failure. None means that the caller can fetch the outcome
        later. ``joined`` holds all entries of one request. ``deadline_first`` is True if the
        deadline ends the wait: all late messages then fail.
        """
        late = [entry for entry in joined if not entry.done.is_set()]
        failures = await self._promise(late, deadline_first) if late else {}
        outcomes = [(entry, entry.outcome or failures.get(entry.id)) for entry in joined]
        for entry, outcome in outcomes:
            entry.reported_pending = entry.reported_pending or outcome is None
        await self._release([entry for entry in late if entry.done.is_set()])
        return outcomes

    async def _promise(self, late: Sequence[Entry], deadline_first: bool) -> dict[str, Failure]:
        """Makes the broker keep the outcomes of late messages, for callers to fetch later.

        If ``deadline_first`` is True, the deadline ends the wait, and no outcome is kept. Returns a
        mapping from message id to failure, for the messages whose outcomes are not kept.
        """
        if deadline_first:
            return {entry.id: self._dispatcher.deadline_failure(entry) for entry in late}
        self._dispatcher.hasten(late)
        until = time.monotonic() + ACCEPT_S
        for entry in late:
            await entry.sent.wait(until)
        unsent = [entry for entry in late if not entry.sent.is_set()]
        for entry in unsent:
            entry.urgent = False  # its outcome is not promised
            self._release_later(entry)
        error = BrokerUnavailable("the broker did not take the message in time")
        failures = _failures(unsent, error)
        sent = [e for e in late if e.sent.is_set() and not (e.promised or e.done.is_set())]
        return failures | (await self._promise_sent(sent) if sent else {})

    async def _promise_sent(self, entries: Sequence[Entry]) -> dict[str, Failure]:
        """Makes the broker keep the outcomes of late messages that were sent already.

        Returns a mapping from message id to failure, for the messages whose outcomes are not kept.
        """
        try:
            promised = self._pending_results.make([entry.id for entry in entries])
            if not await asyncio.wait_for(promised, ACCEPT_S):
                return _failures(entries, Overloaded("too many outcomes are promised already"))
        except (RedisError, TimeoutError):
            error = BrokerUnavailable("the broker, which keeps promised outcomes, can't be reached")
            return _failures(entries, error)
        for entry in entries:
            entry.promised = True
            if not entry.done.is_set():
                # The worker may have looked for a pending result before this one was added. If so,
                # the worker has not stored the outcome. So this process stores the outcome when the
                # reply comes.
                entry.done.then(partial(self._start_keep, entry))
        return {}

    def _start_keep(self, entry: Entry) -> None:
        self._hold(asyncio.ensure_future(self._keep(entry)))

    def _start_release(self, entry: Entry) -> None:
        self._hold(asyncio.ensure_future(self._release([entry])))

    def _hold(self, task: asyncio.Task[None]) -> None:
        """Keeps a reference to a task until its end: the event loop has only a weak reference."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _release_later(self, entry: Entry) -> None:
        """Releases a message's pending result at the broker as soon as the outcome comes.

        A pending result keeps an outcome for a caller. After the release, Redis may evict it. Call
        this method if the caller gets a failure, and so will not fetch the outcome. Nothing is
        released if another caller was told to fetch the outcome.
        """
        if not entry.done.is_set():
            entry.done.then(partial(self._start_release, entry))

    async def _keep(self, entry: Entry) -> None:
        """Stores an outcome at the broker, for the caller to whom it was promised."""
        if (outcome := _worker_outcome(entry)) is None:
            return
        try:
            await self._pending_results.keep(entry.id, outcome)
        except RedisError as error:
            with about([entry.request_id]):
                logger.warning("a promised outcome is kept in the cache only: %s", error)

    async def _release(self, answered: Sequence[Entry]) -> None:
        """Releases the pending results that no caller will fetch, so that Redis may evict them.

        A pending result keeps an outcome for a caller. ``answered`` holds entries that have their
        outcomes.
        """
        spare = [entry for entry in answered if entry.promised and not entry.reported_pending]
        known = {entry.id: outcome for entry in spare if (outcome := _worker_outcome(entry))}
        try:
            await self._pending_results.release(known)
        except RedisError as error:
            with about([entry.request_id for entry in spare]):
                logger.warning("promises of answered messages still take room: %s", error)


def _worker_outcome(entry: Entry) -> Outcome | None:
    """Returns the outcome that a worker sent; None if this process gave up waiting for a worker."""
    outcome = entry.outcome
    gave_up = isinstance(outcome, Failure) and outcome.code == NoAnswer.code
    return None if gave_up else outcome


def _failures(entries: Sequence[Entry], error: BylineError) -> dict[str, Failure]:
    return {entry.id: Failure(entry.id, error.code, str(error)) for entry in entries}
