"""Messages that nobody waits for any longer: their answers are promised, or they fail."""

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

#: Seconds the broker is given to take a message whose answer is promised.
ACCEPT_S = 5.0


class LateMessages:
    """Promises what is late. To be used in the loop's thread."""

    def __init__(self, dispatcher: Dispatcher, pending_results: PendingResults) -> None:
        self._dispatcher = dispatcher
        self._pending_results = pending_results
        #: Those that keep what was promised late, or make room.
        self._tasks: set[asyncio.Task[None]] = set()

    async def outcomes(
        self, joined: Sequence[Entry], final: bool
    ) -> list[tuple[Entry, Outcome | None]]:
        """Return what is to be told of each; None as outcome: safe in the queue, ask again.

        ``final``: where it is late, it is too late for a promise.
        """
        late = [entry for entry in joined if not entry.done.is_set()]
        refused = await self._promised(late, final) if late else {}
        told = [(entry, entry.outcome or refused.get(entry.id)) for entry in joined]
        for entry, outcome in told:
            entry.told = entry.told or outcome is None
        await self._release([entry for entry in late if entry.done.is_set()])
        return told

    async def _promised(self, late: Sequence[Entry], final: bool) -> dict[str, Failure]:
        """Promise the answers. Return why some messages fail."""
        if final:
            return {entry.id: self._dispatcher.passed(entry) for entry in late}
        self._dispatcher.hasten(late)
        until = time.monotonic() + ACCEPT_S
        for entry in late:
            await entry.sent.wait(until)
        unsent = [entry for entry in late if not entry.sent.is_set()]
        for entry in unsent:
            entry.urgent = False  # nobody is promised it
            self._release_later(entry)
        error = BrokerUnavailable("the broker did not take the message in time")
        refused = _failures(unsent, error)
        left = [e for e in late if e.sent.is_set() and not (e.promised or e.done.is_set())]
        return refused | (await self._promise_sent(left) if left else {})

    async def _promise_sent(self, entries: Sequence[Entry]) -> dict[str, Failure]:
        """Promise the answers of messages that had left before. Return why, where that fails."""
        try:
            promised = self._pending_results.make([entry.id for entry in entries])
            if not await asyncio.wait_for(promised, ACCEPT_S):
                return _failures(entries, Overloaded("too many answers are promised already"))
        except (RedisError, TimeoutError):
            error = BrokerUnavailable("the broker, where the answer would be, is gone")
            return _failures(entries, error)
        for entry in entries:
            entry.promised = True
            if not entry.done.is_set():
                # The worker may have been done with it before there was anything to keep.
                entry.done.then(partial(self._soon, entry))
        return {}

    def _soon(self, entry: Entry) -> None:
        self._hold(asyncio.ensure_future(self._keep(entry)))

    def _soon_released(self, entry: Entry) -> None:
        self._hold(asyncio.ensure_future(self._release([entry])))

    def _hold(self, task: asyncio.Task[None]) -> None:
        """Keep a task, which nobody waits for, until it is done."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _release_later(self, entry: Entry) -> None:
        """Make room, once it is answered, for a message whose promise nobody was told of."""
        if not entry.done.is_set():
            entry.done.then(partial(self._soon_released, entry))

    async def _keep(self, entry: Entry) -> None:
        if (outcome := _of_worker(entry)) is None:
            return
        try:
            await self._pending_results.keep(entry.id, outcome)
        except RedisError as error:
            with about([entry.request_id]):
                logger.warning("an answer that was promised is kept in the cache only: %s", error)

    async def _release(self, answered: Sequence[Entry]) -> None:
        """Make room where an answer was promised, and given while that was done."""
        spare = [entry for entry in answered if entry.promised and not entry.told]
        known = {entry.id: outcome for entry in spare if (outcome := _of_worker(entry))}
        try:
            await self._pending_results.release(known)
        except RedisError as error:
            with about([entry.request_id for entry in spare]):
                logger.warning("promises of what was answered take up room: %s", error)


def _of_worker(entry: Entry) -> Outcome | None:
    """Return the outcome that a worker has told; None: this process gave up waiting for it."""
    outcome = entry.outcome
    gave_up = isinstance(outcome, Failure) and outcome.code == NoAnswer.code
    return None if gave_up else outcome


def _failures(entries: Sequence[Entry], error: BylineError) -> dict[str, Failure]:
    return {entry.id: Failure(entry.id, error.code, str(error)) for entry in entries}
