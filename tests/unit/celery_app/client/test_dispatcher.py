"""The dispatcher: credits, chunks, joining, and an outcome for every message."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest

from celery_app.client.entry import Entry
from tasks.errors import Overloaded
from tasks.messages import Attribution, Failure, Reply
from tests.unit.celery_app.client.desk import Desk, attribution, idle

pytestmark = pytest.mark.anyio


async def test_a_message_leaves_at_once_when_idle(desk: Desk) -> None:
    [entry] = await desk.ask("1")
    assert entry.sent.is_set()
    await desk.answer()
    assert isinstance(entry.outcome, Attribution)
    assert desk.dispatcher.unanswered == 0


async def test_messages_gather_without_a_credit(desk: Desk) -> None:
    await desk.ask("1")
    await desk.ask("2")
    await desk.ask("3")
    await desk.ask("4", "5")
    assert desk.broker.sizes() == [1, 1]
    await desk.answer(0)
    assert desk.broker.sizes() == [1, 1, 3]


async def test_many_messages_leave_in_chunks_of_at_most_the_largest_size(desk: Desk) -> None:
    await desk.ask(*"123456789")
    assert desk.broker.sizes() == [4, 4]
    await desk.answer(0)
    assert desk.broker.sizes() == [4, 4, 1]


async def test_the_same_message_joins_the_first_until_it_is_answered(desk: Desk) -> None:
    [first] = await desk.ask("1")
    [second] = await desk.ask("1")
    assert second is first
    assert desk.dispatcher.unanswered == 1
    await desk.answer()
    [later] = await desk.ask("1")
    assert later is not first


async def test_a_joined_message_keeps_the_id_of_its_first_request(desk: Desk) -> None:
    await desk.ask("1", request_id="first")
    [joined] = await desk.ask("1", request_id="second")
    assert joined.request_id == "first"


async def test_a_defect_in_sending_fails_the_message_and_is_logged_with_its_request(
    desk: Desk, logged: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(chunk_id: str, entries: Sequence[Entry]) -> None:
        raise KeyError("a defect")

    monkeypatch.setattr(desk.broker, "send", broken)
    [entry] = await desk.ask("1", request_id="first")
    assert isinstance(entry.outcome, Failure)
    assert "a chunk could not be sent (request first)" in logged()


async def test_the_same_text_with_other_options_does_not_join(desk: Desk) -> None:
    plain = (await desk.ask("1"))[0]
    explained = (await desk.ask("1", explain=True))[0]
    hurried = (await desk.ask("1", deadline=time.time() + 60))[0]
    assert len({id(entry) for entry in (plain, explained, hurried)}) == 3


async def test_kinds_have_chunks_of_their_own_and_the_highest_priority_leaves_first(
    desk: Desk,
) -> None:
    await desk.ask("busy 1")
    await desk.ask("busy 2")
    await desk.ask("later", priority=9)
    await desk.ask("why", explain=True)
    await desk.ask("now")
    for place in range(2):
        await desk.answer(place)
    sent = [[entry.id for entry in entries] for entries in desk.broker.chunks.values()][2:]
    assert sent == [["now"], ["why"]]


async def test_an_urgent_message_leaves_without_a_credit(desk: Desk) -> None:
    await desk.ask("1")
    await desk.ask("2")
    promised, other = await desk.ask("3", "4")
    desk.dispatcher.hasten([promised])
    await idle()
    assert promised.sent.is_set()
    assert not other.sent.is_set()


async def test_a_request_that_does_not_fit_is_refused_as_a_whole() -> None:
    async with Desk(capacity=3) as desk:
        await desk.ask("1", "2")
        with pytest.raises(Overloaded):
            await desk.ask("3", "4")
        assert desk.dispatcher.unanswered == 2
        await desk.ask("3")


async def test_a_broker_that_is_down_fails_all_messages_and_costs_no_credit(desk: Desk) -> None:
    desk.broker.down = True
    entries = await desk.ask("1", "2")
    assert [e.outcome.code for e in entries if e.outcome] == ["broker_unavailable"] * 2
    await desk.ask("3")
    assert desk.dispatcher.unanswered == 0
    desk.broker.down = False
    for id in "12":
        assert (await desk.ask(id))[0].sent.is_set()


async def test_a_message_whose_deadline_has_passed_is_not_sent(desk: Desk) -> None:
    [entry] = await desk.ask("1", deadline=time.time() - 1)
    assert entry.outcome is not None
    assert entry.outcome.code == "deadline_passed"
    assert desk.broker.sizes() == []


async def test_a_reply_that_cant_be_read_does_not_stop_the_next(desk: Desk) -> None:
    desk.broker.replies.put_nowait(b"nonsense")
    [entry] = await desk.ask("1")
    await desk.answer()
    await entry.done.wait(time.monotonic() + 5)
    assert isinstance(entry.outcome, Attribution)


async def test_a_message_that_the_reply_leaves_out_fails(desk: Desk) -> None:
    entries = await desk.ask("1", "2")
    [chunk] = desk.broker.chunks
    outcomes: list[Any] = [attribution("1")]
    desk.broker.replies.put_nowait(msgspec.json.encode(Reply(chunk, outcomes)))
    await idle()
    assert isinstance(entries[0].outcome, Attribution)
    assert entries[1].outcome is not None
    assert entries[1].outcome.code == "internal_error"
    assert desk.dispatcher.unanswered == 0


async def test_a_message_made_urgent_while_another_chunk_is_being_sent_leaves_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with Desk(credits=1) as desk:
        promised: list[Entry] = []
        send = desk.broker.send

        async def slow_send(chunk_id: str, entries: Sequence[Entry]) -> None:
            await send(chunk_id, entries)
            if not promised:  # a message comes, and is made urgent, during the sending
                promised.extend(desk.dispatcher.ask([Entry("2", "2", "v1")]))
                desk.dispatcher.hasten(promised)

        monkeypatch.setattr(desk.broker, "send", slow_send)
        await desk.ask("1")
        await promised[0].sent.wait(time.monotonic() + 5)
        assert promised[0].sent.is_set()


async def test_a_message_that_would_be_late_is_refused_at_once(desk: Desk) -> None:
    await desk.ask("1")
    await asyncio.sleep(0.05)
    await desk.answer()  # so a chunk takes 50 ms
    await desk.ask(*(f"waits {n}" for n in range(20)))
    assert desk.dispatcher.wait_s == pytest.approx(0.3, rel=0.5)
    [hurried] = await desk.ask("hurried", deadline=time.time() + 0.1)
    assert isinstance(hurried.outcome, Failure)
    assert hurried.outcome.code == "overloaded"
    [patient] = await desk.ask("patient", deadline=time.time() + 60)
    assert patient.outcome is None
    desk.cache.known["known"] = attribution("known")
    [known] = await desk.ask("known", deadline=time.time() + 0.1)
    assert isinstance(known.outcome, Attribution)


async def test_a_chunk_that_could_not_be_sent_does_not_change_the_expected_wait(desk: Desk) -> None:
    await desk.ask("1")
    await asyncio.sleep(0.02)
    await desk.answer()
    usual = desk.dispatcher.wait_s
    desk.broker.down = True
    await desk.ask("2")
    desk.broker.down = False
    await asyncio.sleep(0.2)
    await desk.ask("3")
    await desk.answer(1)
    assert desk.dispatcher.wait_s < usual + 0.05


async def test_a_version_that_hangs_leaves_other_versions_half_of_the_capacity() -> None:
    async with Desk(capacity=20, chunk_work=4) as desk:
        await desk.ask("current")
        hung = [Entry(f"canary {n}", "text", "v2") for n in range(19)]
        desk.dispatcher.ask(hung)
        await idle()
        refused = [entry for entry in hung if entry.done.is_set()]
        assert {e.outcome.code for e in refused if e.outcome} == {"overloaded"}
        assert len(hung) - len(refused) == 10
        [entry] = await desk.ask("and again")
        assert entry.sent.is_set()


async def test_each_version_has_credits_and_latencies_of_its_own() -> None:
    async with Desk(credits=1) as desk:
        desk.dispatcher.ask([Entry("slow", "text", "v2")])
        await idle()
        [entry] = await desk.ask("quick")
        assert entry.sent.is_set()
        await asyncio.sleep(0.2)
        await desk.answer(1)
        assert desk.dispatcher.wait_for("v1") > 0.1
        assert desk.dispatcher.wait_for("v2") == 0.0
        assert desk.dispatcher.wait_for("v3") == 0.0
