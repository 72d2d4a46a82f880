"""Lets the event loop see to others while a large request is worked through."""

from __future__ import annotations

import asyncio
import time

#: Seconds of work after which the others have their turn.
TURN_S = 0.005


class Yielder:
    """Divides the work on one request. To be made when the work begins."""

    def __init__(self) -> None:
        self._until = time.monotonic() + TURN_S

    async def rest(self) -> None:
        """Give the loop a turn, if the work has gone on for long enough."""
        if time.monotonic() >= self._until:
            await asyncio.sleep(0)
            self._until = time.monotonic() + TURN_S
