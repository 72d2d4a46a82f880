"""``Completion``: an event that is set once. Each waiter has its own deadline."""

from __future__ import annotations

import asyncio
import math
import time

import pytest

from celery_app.client.dispatch.completion import Completion

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": True}  # as in the server


async def test_all_waiters_are_woken() -> None:
    event = Completion()
    waiting = [asyncio.ensure_future(event.wait(time.monotonic() + 20)) for _ in range(3)]
    await asyncio.sleep(0)
    event.set()
    assert await asyncio.gather(*waiting) == [True] * 3


async def test_a_wait_after_the_event_ends_at_once() -> None:
    event = Completion()
    event.set()
    assert await event.wait(time.monotonic() - 1)


async def test_a_deadline_ends_one_wait_only() -> None:
    event = Completion()
    patient = asyncio.ensure_future(event.wait(time.monotonic() + 20))
    assert not await event.wait(time.monotonic() + 0.01)
    assert not patient.done()
    event.set()
    assert await patient


async def test_a_wait_without_a_deadline_ends_with_the_event() -> None:
    event = Completion()
    waiting = asyncio.ensure_future(event.wait(math.inf))
    await asyncio.sleep(0)
    event.set()
    assert await waiting


async def test_a_cancelled_waiter_does_not_keep_the_event_from_being_set() -> None:
    event = Completion()
    waiting = asyncio.ensure_future(event.wait(time.monotonic() + 20))
    await asyncio.sleep(0)
    waiting.cancel()
    event.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_a_callback_is_called_once() -> None:
    event, calls = Completion(), []
    event.then(lambda: calls.append("before"))
    assert not calls
    event.set()
    event.then(lambda: calls.append("after"))
    event.set()
    assert calls == ["before", "after"]


async def test_a_callback_that_raises_does_not_keep_the_next_from_being_called() -> None:
    event, calls = Completion(), []
    event.then(lambda: calls.append(1 / 0))
    event.then(lambda: calls.append("called"))
    event.set()
    assert calls == ["called"]
