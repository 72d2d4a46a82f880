"""Lets the event loop serve other requests during the work on a large request."""

from __future__ import annotations

import asyncio
import time

#: Seconds of work after which other requests have a turn.
TURN_S = 0.005


class Yielder:
    """Interrupts long work on one request, so that other requests run in between.

    Make a new ``Yielder`` for each request when its work begins, and call ``rest`` often.
    """

    def __init__(self) -> None:
        self._until = time.monotonic() + TURN_S

    async def rest(self) -> None:
        """Lets other requests run, if they have not run for ``TURN_S`` seconds."""
        if time.monotonic() >= self._until:
            await asyncio.sleep(0)
            self._until = time.monotonic() + TURN_S
