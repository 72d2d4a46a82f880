"""Waits for one message in the place of a coroutine, which costs several times as much."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from api.answers import Answer
from api.errors import problem_of
from api.options import Options
from celery_app.client.entry import Entry
from tasks.messages import Outcome


class Resource(Protocol):
    """What it waits for, as it sees it."""

    def answer(self, entry: Entry, outcome: Outcome | None, options: Options) -> Answer:
        """Return the answer to one message; None as outcome: safe in the queue, ask again."""

    async def outcomes(
        self, joined: Sequence[Entry], options: Options
    ) -> list[tuple[Entry, Outcome | None]]:
        """Return what is to be told of messages that nobody waits for any longer."""


class Attendant:
    """One who waits; ``answered`` is called once, with the answer."""

    __slots__ = ("_answered", "_entry", "_options", "_promise", "_resource", "_timer")

    def __init__(
        self,
        resource: Resource,
        loop: asyncio.AbstractEventLoop,
        entry: Entry,
        options: Options,
        answered: Callable[[Answer], None],
    ) -> None:
        self._resource = resource
        self._entry = entry
        self._options = options
        self._answered = answered
        self._promise: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        if not entry.done.is_set():
            left = options.patience - time.monotonic()
            self._timer = loop.call_later(max(0.0, left), self._late)
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
            [(_, outcome)] = await self._resource.outcomes([self._entry], self._options)
        except Exception as error:
            self._answered(problem_of(error))
        else:
            self._give(outcome)

    def _give(self, outcome: Outcome | None) -> None:
        try:
            given = self._resource.answer(self._entry, outcome, self._options)
        except Exception as error:  # others are told of the same outcome, and must be
            given = problem_of(error)
        self._answered(given)
