"""Waits, without a coroutine, until one message has its outcome: an attribution or a failure.

A coroutine would cost several times as much CPU time as the callbacks here. For most requests,
``handle_fast`` takes the place of ``AttributionService.create``.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from msgspec import UNSET

from api.errors import problem_of
from api.http_response import HttpResponse
from api.requests.bodies import INLINE_PARSE_BYTES, MANY, parse
from api.requests.posted_request import PostedRequest
from api.service import AttributionService
from celery_app.client.attribution_client import RequestOptions
from celery_app.client.entry import Entry
from tasks.messages import Outcome


def handle_fast(
    service: AttributionService, posted: PostedRequest, on_response: Callable[[HttpResponse], None]
) -> bool:
    """Finds the author of the request's message, and passes the response to ``on_response``.

    Returns False, and does nothing, if the request has a list of messages or a large body. The
    request must have no query, and no API key with a rate limit.

    Raises:
        BylineError: the request fails, as in ``AttributionService.create``.
    """
    if len(posted.body) > INLINE_PARSE_BYTES or MANY in posted.body:
        return False
    parsed = parse(posted.content_type, posted.body)
    if parsed.text is UNSET:
        return False
    options = service.options({}, parsed, posted.key)
    client = service.client
    [entry] = client.dispatcher.ask([client.entry(parsed.text, options)])
    ResponseWaiter(service, entry, options, on_response)
    return True


class ResponseWaiter:
    """Waits for the outcome of one message. Calls ``on_response`` once, with the response."""

    __slots__ = ("_entry", "_late_task", "_on_response", "_options", "_service", "_timer")

    def __init__(
        self,
        service: AttributionService,
        entry: Entry,
        options: RequestOptions,
        on_response: Callable[[HttpResponse], None],
    ) -> None:
        self._service = service
        self._entry = entry
        self._options = options
        self._on_response = on_response
        self._late_task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        if not entry.done.is_set():
            left = options.wait_until - time.monotonic()
            loop = service.client.dispatcher.loop
            self._timer = loop.call_later(max(0.0, left), self._on_timeout)
        entry.done.then(self._on_done)

    def _on_done(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._late_task is None:
            self._respond(self._entry.outcome)

    def _on_timeout(self) -> None:
        if not self._entry.done.is_set():
            self._late_task = asyncio.ensure_future(self._wait_no_longer())

    async def _wait_no_longer(self) -> None:
        try:
            [(_, outcome)] = await self._service.client.late_outcomes([self._entry], self._options)
        except Exception as error:
            self._on_response(problem_of(error))
        else:
            self._respond(outcome)

    def _respond(self, outcome: Outcome | None) -> None:
        try:
            response = self._service.response_to(self._entry, outcome, self._options)
        except Exception as error:  # other waiters share the entry, and must get their responses
            response = problem_of(error)
        self._on_response(response)
