"""Waits for one message in the place of a coroutine, which costs several times as much."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from msgspec import UNSET

from api.errors import problem_of
from api.http_response import HttpResponse
from api.requests.bodies import AT_ONCE_BYTES, parse
from api.requests.posted_request import PostedRequest
from api.service import AttributionService
from celery_app.client.client import RequestOptions
from celery_app.client.entry import Entry
from tasks.messages import Outcome


def handle_fast(
    service: AttributionService, posted: PostedRequest, answered: Callable[[HttpResponse], None]
) -> bool:
    """Do as the service's ``create`` does, without a coroutine, for one message and no query.

    Returns False where there are many, or the body is large: then nothing was done. Raises as
    ``create``.
    """
    if len(posted.body) > AT_ONCE_BYTES:
        return False
    asked = parse(posted.content_type, posted.body)
    if asked.text is UNSET:
        return False
    options = service.options({}, asked, posted.key)
    client = service.client
    [entry] = client.dispatcher.ask([client.entry(asked.text, options)])
    ResponseWaiter(service, entry, options, answered)
    return True


class ResponseWaiter:
    """One who waits; ``answered`` is called once, with the answer."""

    __slots__ = ("_answered", "_entry", "_options", "_promise", "_service", "_timer")

    def __init__(
        self,
        service: AttributionService,
        entry: Entry,
        options: RequestOptions,
        answered: Callable[[HttpResponse], None],
    ) -> None:
        self._service = service
        self._entry = entry
        self._options = options
        self._answered = answered
        self._promise: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        if not entry.done.is_set():
            left = options.patience - time.monotonic()
            self._timer = service.client.dispatcher.loop.call_later(max(0.0, left), self._late)
        entry.done.then(self._done)

    def _done(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._promise is None:
            self._give(self._entry.outcome)

    def _late(self) -> None:
        if not self._entry.done.is_set():
            self._promise = asyncio.ensure_future(self._wait_no_longer())

    async def _wait_no_longer(self) -> None:
        try:
            [(_, outcome)] = await self._service.client.late_outcomes([self._entry], self._options)
        except Exception as error:
            self._answered(problem_of(error))
        else:
            self._give(outcome)

    def _give(self, outcome: Outcome | None) -> None:
        try:
            given = self._service.answer(self._entry, outcome, self._options)
        except Exception as error:  # others are told of the same outcome, and must be
            given = problem_of(error)
        self._answered(given)
