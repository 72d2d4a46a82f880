"""Lets the event loop serve other requests during the work on a large request."""

from __future__ import annotations

import asyncio
import time

#: Seconds of work after which other requests have a turn.
TURN_S = 0.005


class Yielder:
    """Divides long work on one request into turns. Make one object when the work begins."""

    def __init__(self) -> None:
        self._until = time.monotonic() + TURN_S

    async def rest(self) -> None:
        """Lets other requests run, if the work has gone on for ``TURN_S`` seconds."""
        if time.monotonic() >= self._until:
            await asyncio.sleep(0)
            self._until = time.monotonic() + TURN_S
