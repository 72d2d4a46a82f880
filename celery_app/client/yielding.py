"""Lets the event loop serve other requests during the work on a large request."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import TypeVar

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")

#: Seconds of work after which other requests have a turn.
TURN_S = 0.005


class Yielder:
    """Interrupts long work on one request, so that other requests run in between.

    Make a new ``Yielder`` for each request when its work begins. Call ``is_due`` often, and await
    ``rest`` when ``is_due`` returns True.
    """

    def __init__(self) -> None:
        self._until = time.monotonic() + TURN_S

    def is_due(self) -> bool:
        """Returns whether the work has gone on for ``TURN_S`` seconds since the last rest."""
        return time.monotonic() >= self._until

    async def rest(self) -> None:
        """Lets other requests run."""
        await asyncio.sleep(0)
        self._until = time.monotonic() + TURN_S


async def in_turns(
    function: Callable[[ItemT, int], ResultT], items: Iterable[ItemT]
) -> list[ResultT]:
    """Returns ``function(item, index)`` for each item. Other requests run in between."""
    yielder, results = Yielder(), []
    for index, item in enumerate(items):
        results.append(function(item, index))
        if yielder.is_due():
            await yielder.rest()
    return results
