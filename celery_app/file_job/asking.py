"""Sends the rows of a file job to the workers, and again after a temporary error."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from celery_app.client.async_client import Client
from celery_app.client.entry import LOWEST_PRIORITY
from celery_app.file_job.readers.rows import Row
from tasks.errors import (
    BrokerUnavailable,
    CacheUnavailable,
    InternalError,
    NoAnswer,
    NoModel,
    Overloaded,
    UnknownModel,
)
from tasks.messages import Failure, Outcome

#: Codes of errors that end by themselves, or when an operator acts. Their rows are sent again.
TEMPORARY = frozenset(
    {
        *(BrokerUnavailable.code, CacheUnavailable.code, NoAnswer.code, NoModel.code),
        *(Overloaded.code, UnknownModel.code),
    }
)
#: Number of times that a row with an internal error is sent, before the error is its result.
TRIES = 3
#: First pause before rows are sent again, in seconds. Each pause is twice as long as the last one.
PAUSE_S = 0.1
#: Longest such pause, in seconds.
LONGEST_PAUSE_S = 2.0
#: Seconds between two looks for a worker, while there is none.
LOOK_S = 0.2


class Asking:
    """Sends the rows of a job with a client, at the lowest priority and to one model version."""

    def __init__(self, client: Client, version: str, explain: bool) -> None:
        self._client = client
        self._version = version
        self._explain = explain
        #: Text of the newest temporary error of a row; empty if no row had one.
        self._trouble = ""

    async def outcomes(self, rows: Sequence[Row]) -> list[Outcome]:
        """Returns an attribution or an error for each row, in order.

        If a row's error is temporary, such as an unreachable broker, sends the row again.
        """
        found: dict[int, Outcome] = {
            index: row.failure for index, row in enumerate(rows) if row.failure is not None
        }
        left = [index for index in range(len(rows)) if index not in found]
        pause_s, tries = PAUSE_S, 1
        while left:
            found.update(zip(left, await self._ask([rows[i].text for i in left]), strict=True))
            left = [index for index in left if self._is_temporary(found[index], tries)]
            if left:
                await asyncio.sleep(pause_s)  # the condition may have ended by then
                pause_s, tries = min(2 * pause_s, LONGEST_PAUSE_S), tries + 1
        return [found[index] for index in range(len(rows))]

    def obstacle(self) -> str:
        """Returns the reason why no results come at present, as a text for the user."""
        states = self._client.states()
        if states.get("broker", "ok") == "ok" and not self._client.workers(self._version):
            return f"no worker serves {self._version}, the version of this job: start one"
        wrong = [f"{part}: {state}" for part, state in states.items() if state != "ok"]
        return "; ".join(wrong) or self._trouble or "no worker has answered yet"

    async def _ask(self, texts: list[str]) -> list[Outcome]:
        # Without a worker, rows would only fill the queue, again each time that they are given up.
        while not self._client.workers(self._version):
            await asyncio.sleep(LOOK_S)  # the client looks for workers itself
        return await self._client.attribute_each(
            texts, priority=LOWEST_PRIORITY, version=self._version, explain=self._explain
        )

    def _is_temporary(self, outcome: Outcome, tries: int) -> bool:
        if not isinstance(outcome, Failure):
            return False
        again = outcome.code in TEMPORARY or (outcome.code == InternalError.code and tries < TRIES)
        if again:
            self._trouble = outcome.detail
        return again
