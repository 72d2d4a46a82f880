"""Calls a coroutine function again and again for ever, even if it raises an error."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from redis import RedisError

from monitoring.instruments.background import Failures

logger = logging.getLogger(__name__)

#: Seconds between two attempts to reach a Redis that does not respond.
RETRY_S = 0.5


async def run_forever(step: Callable[[], Awaitable[None]]) -> None:
    """Calls ``step`` until this coroutine is cancelled. Logs the errors that ``step`` raises."""
    failures = Failures(step.__qualname__)
    while True:
        try:
            await step()
            failures.reset()
        except RedisError as error:
            logger.warning("Redis can't be reached: %s", error)
            await asyncio.sleep(RETRY_S)
        except Exception as error:  # a defect must not stop the process from answering
            await asyncio.sleep(failures.add(error))
