"""Which server the error names if a pending result can't be looked up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from redis import ConnectionError

from tasks.errors import BrokerUnavailable, CacheUnavailable
from tasks.storage.pending_results import PROMISED, Call, PendingResults

ID = "5c" * 16


async def empty(_command: str, *keys: str) -> list[None]:
    """Responds like a server that has none of the keys."""
    return [None] * len(keys)


async def gone(*_command: Any) -> Any:
    raise ConnectionError("the server is gone")


async def gone_after_the_lookup(command: str, *_keys: Any) -> Any:
    """Responds once that the result is pending. After that, the server can't be reached."""
    if command == "MGET":
        return [b""]
    raise ConnectionError("the server is gone")


def pending_results(
    broker: Call, cache: Call, lists: Callable[[], Sequence[str]] = list
) -> PendingResults:
    return PendingResults(broker, cache, 60, lambda: 1, lists)


@pytest.mark.parametrize(
    ("broker", "cache", "error"),
    [
        (gone, empty, BrokerUnavailable),
        (empty, gone, CacheUnavailable),
        (gone, gone, BrokerUnavailable),
        (empty, empty, KeyError),
    ],
)
def test_the_error_of_a_result_that_is_not_found_names_the_server_that_is_gone(
    broker: Call, cache: Call, error: type[Exception]
) -> None:
    with pytest.raises(error):
        asyncio.run(pending_results(broker, cache).find(ID))
    with pytest.raises(error):
        asyncio.run(pending_results(broker, cache).fetch(ID, explain=False))


def test_a_pending_result_is_pending_while_the_cache_is_gone() -> None:
    async def pending(_command: str, *keys: str) -> list[bytes]:
        assert keys == (PROMISED + ID,)
        return [b""]

    assert asyncio.run(pending_results(pending, gone).find(ID)) is None


def test_the_error_names_a_broker_that_goes_while_a_lost_task_is_looked_for() -> None:
    found = pending_results(gone_after_the_lookup, empty, lambda: ["attributions"])
    with pytest.raises(BrokerUnavailable, match="the broker"):
        asyncio.run(found.fetch(ID, explain=False))
