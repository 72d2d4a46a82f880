"""A message that no coroutine waits for: what its asker is told, and when."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from unittest.mock import AsyncMock, Mock

import pytest
from redis import RedisError

from api.accelerator.response_waiter import handle_fast
from api.requests import bodies
from api.requests.posted_request import PostedRequest
from celery_app.client.dispatch.key_quota import KeyQuota
from celery_app.client.dispatch.late import LateMessages
from celery_app.client.entry import Entry
from tasks.errors import InvalidMessage, Overloaded
from tasks.messages import Failure
from tests.unit.api.counter import Counter
from tests.unit.api.desk import Desk, attribution, idle

pytestmark = pytest.mark.anyio


class FastCounter(Counter):
    """Hands messages in as the accelerator does, without a coroutine."""

    def hand_in(self, body: object, content_type: str = "application/json") -> bool:
        posted = PostedRequest(b"", content_type, json.dumps(body).encode(), None)
        return handle_fast(self.attributions, posted, self.given.append)


@pytest.fixture
async def patient(desk: Desk) -> FastCounter:
    return FastCounter(desk, 30.0)


@pytest.fixture
async def hasty(desk: Desk) -> FastCounter:
    return FastCounter(desk, 0.05)


async def test_it_is_answered_when_the_outcome_is_there(desk: Desk, patient: FastCounter) -> None:
    assert patient.hand_in({"text": "one"})
    await idle()
    assert not patient.given
    await desk.answer()
    given = await patient.answer()
    assert (given.status, json.loads(given.body)["author"]) == (200, "a")


async def test_what_was_answered_lately_is_answered_at_once(
    desk: Desk, patient: FastCounter
) -> None:
    patient.hand_in({"text": "one"})
    await idle()
    await desk.answer()
    patient.hand_in({"text": "one"})
    assert [json.loads(given.body)["cached"] for given in patient.given] == [False, True]


async def test_two_who_ask_the_same_are_both_answered(desk: Desk, patient: FastCounter) -> None:
    for _ in range(2):
        patient.hand_in({"text": "one"})
    await idle()
    await desk.answer()
    assert [given.status for given in patient.given] == [200, 200]
    assert desk.broker.sizes() == [1]


async def test_after_the_wait_the_answer_is_promised(desk: Desk, hasty: FastCounter) -> None:
    hasty.hand_in({"text": "one"})
    given = await hasty.answer()
    assert given.status == 202
    [id] = hasty.pending_results.made
    assert json.loads(given.body)["id"] == id
    assert hasty.pending_results.kept == {}
    await desk.answer()
    assert len(hasty.given) == 1
    # Stored before it was promised: the worker, which found no promise, has not kept it.
    assert list(hasty.pending_results.kept) == [id]
    assert hasty.pending_results.released == {}


async def test_what_is_answered_while_it_is_promised_takes_no_room(
    desk: Desk, hasty: FastCounter
) -> None:
    hasty.pending_results.meanwhile = desk.answer
    hasty.hand_in({"text": "one"})
    assert (await hasty.answer()).status == 200
    assert list(hasty.pending_results.released) == hasty.pending_results.made


async def test_what_one_asker_was_promised_is_not_released_for_another(
    desk: Desk, hasty: FastCounter
) -> None:
    hasty.hand_in({"text": "one"})
    await hasty.answer()
    hasty.given.clear()
    hasty.hand_in({"text": "one"})
    await idle()
    await desk.answer()
    assert (await hasty.answer()).status == 200
    assert hasty.pending_results.released == {}


async def test_what_nobody_waits_for_any_longer_is_still_the_promise_of_an_answer(
    desk: Desk, hasty: FastCounter
) -> None:
    hasty.hand_in({"text": "one"})
    await hasty.answer()
    desk.dispatcher._answer_s = 0.0
    for version_queue in desk.dispatcher._version_queues.values():
        version_queue.in_flight._answer_s = 0.0
    desk.dispatcher._give_up()
    await idle()
    assert (
        hasty.pending_results.kept == {}
    )  # the task is in the queue; that nobody waits is no outcome


async def test_where_there_is_no_room_a_promise_is_refused(desk: Desk, hasty: FastCounter) -> None:
    hasty.pending_results.room = False
    hasty.hand_in({"text": "one"})
    given = await hasty.answer()
    assert (given.status, json.loads(given.body)["code"]) == (503, "overloaded")
    assert dict(given.headers)["Retry-After"]
    await desk.answer()
    assert hasty.pending_results.kept == hasty.pending_results.released == {}


async def test_after_the_deadline_there_is_none(desk: Desk, patient: FastCounter) -> None:
    patient.hand_in({"text": "one", "deadline_ms": 50})
    given = await patient.answer()
    assert (given.status, json.loads(given.body)["code"]) == (504, "deadline_passed")
    assert not patient.pending_results.made


async def test_what_can_not_be_promised_is_not(hasty: FastCounter) -> None:
    hasty.pending_results.gone = True
    hasty.hand_in({"text": "one"})
    assert (await hasty.answer()).status == 503


async def test_who_joins_a_message_whose_promise_failed_is_not_told_of_one() -> None:
    entry = Entry("1" * 32, "one", "v1")
    entry.sent.set()
    pending_results = Mock(make=AsyncMock(side_effect=RedisError), release=AsyncMock())
    late = LateMessages(Mock(), pending_results)
    for _ in range(2):
        [(_, outcome)] = await late.outcomes([entry], final=False)
        assert isinstance(outcome, Failure)
        assert outcome.code == "broker_unavailable"


async def test_an_answer_that_can_not_be_kept_is_logged_with_its_request(
    logged: Callable[[], str],
) -> None:
    entry = Entry("1" * 32, "one", "v1", request_id="first")
    entry.sent.set()
    make, keep = AsyncMock(return_value=True), AsyncMock(side_effect=RedisError)
    pending_results = Mock(make=make, keep=keep, release=AsyncMock())
    await LateMessages(Mock(), pending_results).outcomes([entry], final=False)
    entry.settle(attribution(entry.id))
    await idle()
    assert "is kept in the cache only:  (request first)\n" in logged()


async def test_a_promise_that_breaks_is_answered_all_the_same(
    hasty: FastCounter, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def make(ids: Iterable[str]) -> bool:
        raise ZeroDivisionError

    monkeypatch.setattr(hasty.pending_results, "make", make)
    hasty.hand_in({"text": "one"})
    assert (await hasty.answer()).status == 500


async def test_what_failed_is_told(desk: Desk, patient: FastCounter) -> None:
    desk.broker.down = True
    patient.hand_in({"text": "one"})
    assert (await patient.answer()).status == 503


async def test_many_messages_are_none_of_its_business(desk: Desk, patient: FastCounter) -> None:
    assert not patient.hand_in({"messages": [{"text": "one"}]})
    await idle()
    assert not patient.given
    assert not desk.cache.lookups


async def test_what_can_not_be_taken_is_raised(desk: Desk, patient: FastCounter) -> None:
    with pytest.raises(InvalidMessage):
        patient.hand_in({"text": ""})
    patient.hand_in({"text": "one"})
    desk.dispatcher._room = KeyQuota(0)
    desk.dispatcher._room.take(Entry("other", "other", "v1"))
    with pytest.raises(Overloaded):
        patient.hand_in({"text": "two"})
    assert not patient.given


async def test_large_body_is_not_parsed_in_the_loop(patient: FastCounter) -> None:
    assert not patient.hand_in({"text": "x" * (bodies.AT_ONCE_BYTES + 1)})
    assert not patient.given
