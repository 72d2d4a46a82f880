"""A step of a coroutine, again and again, whatever becomes of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from redis import RedisError

logger = logging.getLogger(__name__)

#: Seconds between attempts to reach a Redis that is gone.
RETRY_S = 0.5


async def forever(step: Callable[[], Awaitable[None]]) -> None:
    """Do ``step`` until cancelled; what it raises is logged."""
    while True:
        try:
            await step()
        except RedisError as error:
            logger.warning("Redis can't be reached: %s", error)
            await asyncio.sleep(RETRY_S)
        except Exception:  # a defect must not stop the process from answering
            logger.exception("%s failed", step.__qualname__)
            await asyncio.sleep(RETRY_S)
