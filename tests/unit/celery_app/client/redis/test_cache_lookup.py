"""``CacheLookup``: which messages share a lookup, and what a failing cache causes."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from celery_app.client.entry import Entry
from celery_app.client.redis import cache_lookup
from tasks.messages import Attribution, Failure
from tests.unit.celery_app.client.desk import Desk, attribution, idle

pytestmark = pytest.mark.anyio


async def test_a_cached_message_is_not_sent(desk: Desk) -> None:
    desk.cache.known["1"] = attribution("1")
    known, new = await desk.ask("1", "2")
    assert known.outcome is desk.cache.known["1"]
    assert desk.broker.sizes() == [1]
    assert not new.done.is_set()


async def test_few_messages_wait_to_be_looked_up_together_while_a_chunk_is_in_flight(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_lookup, "WORTH_A_LOOK", 3)
    monkeypatch.setattr(cache_lookup, "GATHER_S", 0.05)
    await desk.ask("1")
    assert desk.cache.lookups == [["1"]]
    await desk.ask("2")
    [entry] = await desk.ask("3")
    assert desk.cache.lookups == [["1"]]
    assert await entry.sent.wait(time.monotonic() + 20)
    assert desk.cache.lookups == [["1"], ["2", "3"]]


async def test_many_messages_are_looked_up_without_waiting(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_lookup, "WORTH_A_LOOK", 3)
    monkeypatch.setattr(cache_lookup, "GATHER_S", 1000.0)
    for id in ("1", "2", "3", "4"):
        await desk.ask(id)
    assert desk.cache.lookups == [["1"], ["2", "3", "4"]]


async def test_waiting_messages_are_looked_up_when_a_credit_gets_free(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_lookup, "WORTH_A_LOOK", 3)
    monkeypatch.setattr(cache_lookup, "GATHER_S", 1000.0)
    await desk.ask("1")
    [entry] = await desk.ask("2")
    await desk.answer()
    assert entry.sent.is_set()


async def test_messages_of_two_requests_are_looked_up_together(desk: Desk) -> None:
    desk.dispatcher.ask([Entry("1", "1", "v1")])
    desk.dispatcher.ask([Entry("2", "2", "v1")])
    await idle()
    assert desk.cache.lookups == [["1", "2"]]


async def test_messages_are_sent_when_the_cache_is_down(desk: Desk) -> None:
    desk.cache.down = True
    assert (await desk.ask("1"))[0].sent.is_set()


async def test_a_message_with_an_outcome_counts_as_sent(desk: Desk) -> None:
    desk.cache.known["1"] = attribution("1")
    [entry] = await desk.ask("1")
    assert entry.sent.is_set()


async def test_messages_are_computed_when_the_cache_can_not_be_decoded(
    desk: Desk, logged: Callable[[], str]
) -> None:
    desk.cache.nonsense = True
    [entry] = await desk.ask("1", request_id="first")
    await desk.answer()
    assert isinstance(entry.outcome, Attribution)
    assert desk.dispatcher.unanswered == 0
    assert "the cache's contents can't be used" in logged()


async def test_a_dead_letter_in_the_cache_is_the_outcome(desk: Desk) -> None:
    desk.cache.known["deadly"] = Failure("deadly", "dead_letter", "died of it")
    [entry] = await desk.ask("deadly", explain=True)
    assert entry.outcome == Failure("deadly", "dead_letter", "died of it")
    assert desk.broker.sizes() == []


async def test_a_cache_that_failed_is_not_asked_for_a_while(desk: Desk) -> None:
    desk.cache.down = True
    await desk.ask("1")
    desk.cache.down = False
    await desk.ask("2")
    assert desk.cache.lookups == []
    assert desk.broker.sizes() == [1, 1]
