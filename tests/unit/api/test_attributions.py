"""A message that no coroutine waits for: what its asker is told, and when."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from typing import Any

import pytest
from redis import ConnectionError as RedisConnectionError

from api.answers import Answer
from api.attributions import Attributions
from api.entry import Entry
from api.room import Room
from celery_app.settings import Settings
from tasks.errors import InvalidMessage, Overloaded
from tests.unit.api.desk import Desk, idle

pytestmark = pytest.mark.anyio


class Directory:
    def version_for(self, text: str) -> str:
        return "v1"


class Promises:
    """Notes what is promised, unless the cache is gone."""

    def __init__(self) -> None:
        self.marked: list[str] = []
        self.gone = False

    async def mark(self, ids: Iterable[str]) -> None:
        if self.gone:
            raise RedisConnectionError("gone")
        self.marked += ids

    async def unmark(self, ids: Iterable[str]) -> None:
        for id in ids:
            self.marked.remove(id)


class Counter:
    """Where messages are handed in, with a desk behind it."""

    def __init__(self, desk: Desk, wait_s: float) -> None:
        settings = Settings.from_environ({"BYLINE_WAIT_S": str(wait_s)})
        parts: Any = (desk.outbox, Directory(), Promises(), None)
        self.promises = parts[2]
        self.attributions = Attributions(settings, *parts)
        self.given: list[Answer] = []

    def hand_in(self, body: object, content_type: str = "application/json") -> bool:
        sent = json.dumps(body).encode()
        return self.attributions.attend(content_type, sent, self.given.append)

    async def answer(self) -> Answer:
        """Return the only answer, once it is there."""
        async with asyncio.timeout(20):
            while not self.given:
                await asyncio.sleep(0.01)
        await idle()
        [given] = self.given
        return given


@pytest.fixture
async def patient(desk: Desk) -> Counter:
    return Counter(desk, 30.0)


@pytest.fixture
async def hasty(desk: Desk) -> Counter:
    return Counter(desk, 0.05)


async def test_it_is_answered_when_the_outcome_is_there(desk: Desk, patient: Counter) -> None:
    assert patient.hand_in({"text": "one"})
    await idle()
    assert not patient.given
    await desk.answer()
    given = await patient.answer()
    assert (given.status, json.loads(given.body)["author"]) == (200, "a")


async def test_what_was_answered_lately_is_answered_at_once(desk: Desk, patient: Counter) -> None:
    patient.hand_in({"text": "one"})
    await idle()
    await desk.answer()
    patient.hand_in({"text": "one"})
    assert [json.loads(given.body)["cached"] for given in patient.given] == [False, True]


async def test_two_who_ask_the_same_are_both_answered(desk: Desk, patient: Counter) -> None:
    for _ in range(2):
        patient.hand_in({"text": "one"})
    await idle()
    await desk.answer()
    assert [given.status for given in patient.given] == [200, 200]
    assert desk.broker.sizes() == [1]


async def test_after_the_wait_the_answer_is_promised(desk: Desk, hasty: Counter) -> None:
    hasty.hand_in({"text": "one"})
    given = await hasty.answer()
    assert given.status == 202
    assert [json.loads(given.body)["id"]] == hasty.promises.marked
    await desk.answer()
    assert len(hasty.given) == 1


async def test_after_the_deadline_there_is_none(desk: Desk, patient: Counter) -> None:
    patient.hand_in({"text": "one", "deadline_ms": 50})
    given = await patient.answer()
    assert (given.status, json.loads(given.body)["code"]) == (504, "deadline_passed")
    assert not patient.promises.marked


async def test_what_can_not_be_promised_is_not(hasty: Counter) -> None:
    hasty.promises.gone = True
    hasty.hand_in({"text": "one"})
    assert (await hasty.answer()).status == 503


async def test_a_promise_that_breaks_is_answered_all_the_same(
    hasty: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def mark(ids: Iterable[str]) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(hasty.promises, "mark", mark)
    hasty.hand_in({"text": "one"})
    assert (await hasty.answer()).status == 500


async def test_what_failed_is_told(desk: Desk, patient: Counter) -> None:
    desk.broker.down = True
    patient.hand_in({"text": "one"})
    assert (await patient.answer()).status == 503


async def test_many_messages_are_none_of_its_business(desk: Desk, patient: Counter) -> None:
    assert not patient.hand_in({"messages": [{"text": "one"}]})
    await idle()
    assert not patient.given
    assert not desk.cache.lookups


async def test_what_can_not_be_taken_is_raised(desk: Desk, patient: Counter) -> None:
    with pytest.raises(InvalidMessage):
        patient.hand_in({"text": ""})
    patient.hand_in({"text": "one"})
    desk.outbox._room = Room(0)
    desk.outbox._room.take(Entry("other", "other", "v1"))
    with pytest.raises(Overloaded):
        patient.hand_in({"text": "two"})
    assert not patient.given
