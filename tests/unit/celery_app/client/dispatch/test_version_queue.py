"""``VersionQueue``: chunk sizes, fair shares of API keys, and chunks sent without a credit."""

from __future__ import annotations

import pytest

from celery_app.client.dispatch import version_queue
from celery_app.client.entry import Entry
from tasks.errors import Overloaded
from tasks.work import EVIDENCE
from tests.unit.celery_app.client.desk import Desk, idle

pytestmark = pytest.mark.anyio


def sent(desk: Desk, place: int) -> list[str]:
    return [entry.id for entry in list(desk.broker.chunks.values())[place]]


async def ask_long(desk: Desk, *ids: str, characters: int, owner: str = "") -> list[Entry]:
    entries = [Entry(id, "a" * characters, "v1", owner=owner) for id in ids]
    joined = desk.dispatcher.ask(entries)
    await idle()
    return joined


async def test_a_chunk_of_long_texts_has_fewer_messages(desk: Desk) -> None:
    await ask_long(desk, *"123", characters=4_000)
    assert desk.broker.sizes() == [2, 1]


async def test_a_chunk_with_evidence_has_fewer_messages() -> None:
    async with Desk(chunk_work=2 * EVIDENCE) as desk:
        await desk.ask(*"12345", explain=True)
        await desk.answer()
        assert desk.broker.sizes() == [2, 2, 1]


async def test_a_message_with_more_work_than_a_chunk_leaves_alone(desk: Desk) -> None:
    await ask_long(desk, "1", "2", characters=16_000)
    assert desk.broker.sizes() == [1, 1]


async def test_the_next_chunk_has_the_message_of_an_owner_that_asks_for_little() -> None:
    async with Desk(credits=1, chunk_work=16) as desk:
        await desk.ask(*(f"greedy {n}" for n in range(80)), owner="greedy")
        [other] = await desk.ask("other", owner="other")
        assert not other.sent.is_set()
        await desk.answer()
        assert "other" in sent(desk, 1)
        assert len(sent(desk, 1)) == 16


async def test_an_owner_that_fills_the_capacity_is_refused_and_others_are_not() -> None:
    async with Desk(capacity=8) as desk:
        await desk.ask(*"12345678", owner="greedy")
        with pytest.raises(Overloaded):
            await desk.ask("9", owner="greedy")
        [other] = await desk.ask("other", owner="other")
        assert other.outcome is None
        with pytest.raises(Overloaded):
            await desk.ask(*"abcd", owner="other")
        with pytest.raises(Overloaded):
            await desk.ask("9", owner="greedy")


async def test_long_messages_fill_the_capacity_sooner() -> None:
    async with Desk(capacity=8) as desk:
        await ask_long(desk, "1", "2", characters=6_001)
        with pytest.raises(Overloaded):
            await desk.ask("3")


async def test_a_valid_request_of_any_size_is_taken_when_no_message_waits() -> None:
    async with Desk(capacity=8) as desk:
        large = await ask_long(desk, *"123", characters=16_000)
        assert desk.dispatcher.unanswered == 3
        for place in range(3):
            await desk.answer(place)
        assert all(entry.done.is_set() for entry in large)
        assert desk.dispatcher.unanswered == 0


async def test_the_same_message_with_another_key_does_not_join(
    desk: Desk,
) -> None:
    [first] = await desk.ask("1", owner="greedy")
    [second] = await desk.ask("1", owner="other")
    assert second is not first


async def test_messages_with_evidence_wait_for_a_few_chunks_and_not_for_all() -> None:
    async with Desk(credits=1, chunk_work=EVIDENCE) as desk:
        await desk.ask("first")
        await desk.ask("explained", explain=True)
        await desk.ask(*(f"plain {n}" for n in range(80)))
        for place in range(version_queue.PASSED_OVER + 1):
            assert "explained" not in sent(desk, place)
            await desk.answer(place)
        assert sent(desk, version_queue.PASSED_OVER + 1) == ["explained"]


async def test_urgent_messages_without_a_credit_leave_credits_to_others(desk: Desk) -> None:
    await desk.ask("1")
    await desk.ask("2")
    for number in range(20):
        promised = await desk.ask(f"promised {number}", owner="greedy")
        desk.dispatcher.hasten(promised)
        await idle()
        assert promised[0].sent.is_set()
    await desk.answer()
    [other] = await desk.ask("other", owner="other")
    assert other.sent.is_set()


async def test_urgent_messages_without_a_credit_have_a_lower_priority(desk: Desk) -> None:
    with_credit = [*await desk.ask("1"), *await desk.ask("2")]
    without = [*await desk.ask("3"), *await desk.ask("4", priority=9)]
    desk.dispatcher.hasten(with_credit)
    desk.dispatcher.hasten(without)
    await idle()
    assert all(entry.sent.is_set() for entry in without)
    assert [entry.queue_priority for entry in with_credit] == [0, 0]
    assert [entry.queue_priority for entry in without] == [3, 9]


async def test_an_urgent_message_with_a_credit_keeps_its_priority(desk: Desk) -> None:
    promised = desk.dispatcher.ask([Entry("1", "1", "v1")])
    desk.dispatcher.hasten(promised)
    await idle()
    assert promised[0].queue_priority == 0
