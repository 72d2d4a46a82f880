"""A signal: set once, waited for by many, each until its own deadline."""

from __future__ import annotations

import asyncio
import time

import pytest

from celery_app.client.dispatch.completion import Completion

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": True}  # as the server has it


async def test_all_who_wait_are_woken() -> None:
    signal = Completion()
    waiting = [asyncio.ensure_future(signal.wait(time.monotonic() + 20)) for _ in range(3)]
    await asyncio.sleep(0)
    signal.set()
    assert await asyncio.gather(*waiting) == [True] * 3


async def test_who_comes_later_does_not_wait() -> None:
    signal = Completion()
    signal.set()
    assert await signal.wait(time.monotonic() - 1)


async def test_a_deadline_ends_one_wait_only() -> None:
    signal = Completion()
    patient = asyncio.ensure_future(signal.wait(time.monotonic() + 20))
    assert not await signal.wait(time.monotonic() + 0.01)
    assert not patient.done()
    signal.set()
    assert await patient


async def test_a_waiter_that_is_cancelled_is_no_hindrance() -> None:
    signal = Completion()
    waiting = asyncio.ensure_future(signal.wait(time.monotonic() + 20))
    await asyncio.sleep(0)
    waiting.cancel()
    signal.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_who_is_to_be_called_is_called_once() -> None:
    signal, calls = Completion(), []
    signal.then(lambda: calls.append("before"))
    assert not calls
    signal.set()
    signal.then(lambda: calls.append("after"))
    signal.set()
    assert calls == ["before", "after"]


async def test_one_who_breaks_keeps_nobody_from_being_woken() -> None:
    signal, calls = Completion(), []
    signal.then(lambda: calls.append(1 / 0))
    signal.then(lambda: calls.append("called"))
    signal.set()
    assert calls == ["called"]
