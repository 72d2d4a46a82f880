"""What the cache is yet to be asked: gathered, for to ask takes as much as ten messages do."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from redis import RedisError

from celery_app.client.entry import Entry
from monitoring.instruments.request_ids import about
from tasks.cooldown import Cooldown
from tasks.messages import Outcome, suffices

logger = logging.getLogger(__name__)

#: While others are under way, the cache is asked for fewer messages than these together, after so
#: many seconds: none of them could leave at once.
WORTH_A_LOOK, GATHER_S = 32, 0.002
#: Seconds for which a cache that does not answer is not asked: the workers ask it as well.
REST_S = 5.0

#: Returns the outcomes that are known, by id. Raises ``RedisError``.
LookUp = Callable[[Sequence[str]], Awaitable[dict[str, Outcome]]]


class CacheLookup:
    """Gathers them, and asks. To be used in one loop's thread."""

    def __init__(self, look_up: LookUp, wake: Callable[[], None], busy: Callable[[], bool]) -> None:
        """``wake()`` has :meth:`ask` called; ``busy()``: are messages under way?"""
        self._look_up = look_up
        self._wake = wake
        self._busy = busy
        self._gone = Cooldown(REST_S)
        self._entries: list[Entry] = []
        #: Wakes, a little later.
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, entry: Entry) -> None:
        """Have a message asked for the next time."""
        self._entries.append(entry)

    def soon(self) -> None:
        """Have them asked; a few of them a little later where others are under way."""
        few = len(self._entries) < WORTH_A_LOOK
        if few and self._timer is not None:
            return
        if few and self._busy():
            self._timer = asyncio.get_running_loop().call_later(GATHER_S, self._gathered)
        else:
            self._wake()

    def _gathered(self) -> None:
        self._timer = None
        self._wake()

    async def ask(self) -> list[tuple[Entry, Outcome | None]]:
        """Return all of them, each with its outcome where the cache has one that suffices."""
        asked, self._entries = self._entries, []
        found = await self._found(asked) if asked else {}
        answers = ((entry, found.get(entry.id)) for entry in asked)
        return [
            (entry, known if known is not None and suffices(known, entry.explain) else None)
            for entry, known in answers
        ]

    async def _found(self, asked: Sequence[Entry]) -> dict[str, Outcome]:
        try:
            if not self._gone.resting:
                return await self._look_up([entry.id for entry in asked])
        except RedisError as error:  # the worker can still compute
            logger.warning("the cache can't be read: %s", error)
            self._gone.failed()
        except Exception:  # a defect, but who asked must be answered all the same
            with about([entry.request_id for entry in asked]):
                logger.exception("what the cache holds makes no sense")
        return {}
