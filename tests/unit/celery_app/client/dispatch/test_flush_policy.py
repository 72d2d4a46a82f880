"""``FlushPolicy``: when chunks are sent, and which chunks in flight hold a credit."""

from __future__ import annotations

import asyncio
import time

import pytest

from celery_app.client import dispatcher
from celery_app.client.dispatch import flush_policy, in_flight
from celery_app.client.dispatch.latency_model import LatencyModel
from celery_app.client.dispatch.limits import DispatchLimits
from celery_app.client.entry import Entry
from tests.unit.celery_app.client.desk import Desk, FakeModelRegistry

pytestmark = pytest.mark.anyio


async def test_a_chunk_without_a_reply_is_given_up_and_its_credit_is_free(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dispatcher, "SWEEP_S", 0.0)
    async with Desk(answer_s=0.0) as desk:
        [entry] = await desk.ask("1")
        await desk.ask("2")
        assert entry.outcome is not None
        assert entry.outcome.code == "no_answer"
        await desk.answer(0)  # too late, and without effect
        assert (await desk.ask("3"))[0].sent.is_set()


async def test_a_stalled_chunk_holds_no_credit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_flight, "UNKNOWN_S", 0.0)
    async with Desk(credits=1) as desk:
        await desk.ask("with a dead worker")
        [entry] = await desk.ask("for the living")
        assert entry.sent.is_set()
        await desk.answer(0)
        await desk.answer(1)
        assert desk.dispatcher.unanswered == 0


async def test_a_chunk_has_stalled_after_a_multiple_of_the_expected_time() -> None:
    async with Desk(credits=1) as desk:
        await desk.ask("1")
        await desk.answer()  # at once, so that the next chunk counts as stalled after 0.25 s
        await desk.ask("with a dead worker")
        [entry] = await desk.ask("for the living")
        assert not entry.sent.is_set()
        await asyncio.sleep(0.3)
        await desk.ask("another")
        assert entry.sent.is_set()


async def test_few_messages_wait_for_the_chunk_in_flight_but_not_for_long(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flush_policy, "LINGER_S", 60.0)
    await desk.ask("1")
    await desk.ask("2", "3")
    assert desk.broker.sizes() == [1]
    await desk.answer()
    assert desk.broker.sizes() == [1, 2]
    monkeypatch.setattr(flush_policy, "LINGER_S", 0.05)
    [entry] = await desk.ask("4")
    assert not entry.sent.is_set()
    assert await entry.sent.wait(time.monotonic() + 20)


async def test_many_messages_do_not_wait_for_the_chunk_in_flight(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flush_policy, "LINGER_S", 60.0)
    await desk.ask("1")
    await desk.ask(*(f"many {n}" for n in range(flush_policy.WORTH_A_TASK)))
    assert desk.broker.sizes() == [1, 4]


async def test_messages_gather_while_each_worker_has_a_chunk(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flush_policy, "LEAD_S", 0.02)
    await desk.ask("1")
    await asyncio.sleep(0.2)
    await desk.answer()  # so a chunk takes 200 ms
    await desk.ask("2")
    await desk.ask("3", "4")
    assert desk.broker.sizes() == [1, 1]
    await desk.answer(1)
    assert desk.broker.sizes() == [1, 1, 2]


async def test_a_free_second_worker_gets_a_chunk_at_once() -> None:
    async with Desk(workers=2) as desk:
        await desk.ask("1")
        await asyncio.sleep(0.2)
        await desk.answer()
        await desk.ask("2")
        await desk.ask("3", "4")
        assert desk.broker.sizes() == [1, 1, 2]


async def test_the_dispatcher_is_woken_after_a_wait_of_any_length(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An event loop may return another type of timer handle for less than a millisecond."""
    woken = asyncio.Event()
    latency_model, model_registry = LatencyModel(), FakeModelRegistry(workers=2)
    chunks = in_flight.InFlight(60.0, latency_model, chunk_work=4)
    limits = DispatchLimits(2, 1, 1, chunk_work=4, capacity=100, answer_s=60.0)
    policy = flush_policy.FlushPolicy(chunks, latency_model, limits, model_registry, "v1", woken)
    chunks.add("chunk", [Entry("1", "1", "v1")])
    now = chunks.with_credit[0].sent_at
    monkeypatch.setattr(time, "monotonic", lambda: now)
    for seconds in (0.0005, 60.0, 0.0001):
        monkeypatch.setattr(flush_policy, "LINGER_S", seconds)
        assert not policy.due(1)
    await asyncio.wait_for(woken.wait(), 5)


@pytest.mark.parametrize(
    ("workers", "processes", "credits"),
    [(0, 1, 1), (1, 1, 2), (1, 2, 1), (1, 3, 1), (2, 1, 3), (9, 1, 4), (4, 2, 3), (4, 3, 2)],
)
def test_the_processes_of_a_host_share_one_chunk_more_than_there_are_workers(
    workers: int, processes: int, credits: int
) -> None:
    unset = DispatchLimits(None, 1, processes, chunk_work=4, capacity=100, answer_s=60.0)
    assert unset.credits_for(workers) == credits
    assert unset._replace(fewest_credits=2).credits_for(workers) == max(2, credits)
    assert unset._replace(credits=7).credits_for(workers) == 7


async def test_another_worker_is_sent_another_chunk_without_a_setting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(flush_policy, "LINGER_S", 0.0)
    async with Desk(workers=3, credits=None) as desk:
        for id in ("1", "2", "3"):
            await desk.ask(id)
        assert desk.broker.sizes() == [1, 1, 1]
    async with Desk(workers=3, credits=None, processes=4) as desk:
        for id in ("1", "2", "3"):
            await desk.ask(id)
        assert desk.broker.sizes() == [1]


async def test_the_metric_shows_the_credits_that_the_number_of_workers_gives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dispatcher, "SWEEP_S", 0.0)
    async with Desk(workers=3, credits=None) as desk:
        await desk.ask("1")
        assert desk.registry.get_sample_value("byline_credits") == 4
