"""Which response a client gets, and when, for messages that no coroutine waits for."""

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
from tests.unit.celery_app.client.desk import Desk, attribution, idle

pytestmark = pytest.mark.anyio


class FastCounter(Counter):
    """Posts messages as the accelerator does, without a coroutine."""

    def hand_in(self, body: object, content_type: str = "application/json") -> bool:
        posted = PostedRequest(b"", content_type, json.dumps(body).encode(), None)
        return handle_fast(self.attributions, posted, self.given.append)


@pytest.fixture
async def patient(desk: Desk) -> FastCounter:
    return FastCounter(desk, 30.0)


@pytest.fixture
async def hasty(desk: Desk) -> FastCounter:
    return FastCounter(desk, 0.05)


async def test_message_is_answered_with_its_outcome(desk: Desk, patient: FastCounter) -> None:
    assert patient.hand_in({"text": "one"})
    await idle()
    assert not patient.given
    await desk.answer()
    response = await patient.answer()
    assert (response.status, json.loads(response.body)["author"]) == (200, "a")


async def test_message_answered_before_is_answered_at_once(
    desk: Desk, patient: FastCounter
) -> None:
    patient.hand_in({"text": "one"})
    await idle()
    await desk.answer()
    patient.hand_in({"text": "one"})
    assert [json.loads(response.body)["cached"] for response in patient.given] == [False, True]


async def test_two_requests_with_one_message_share_a_task(desk: Desk, patient: FastCounter) -> None:
    for _ in range(2):
        patient.hand_in({"text": "one"})
    await idle()
    await desk.answer()
    assert [response.status for response in patient.given] == [200, 200]
    assert desk.broker.sizes() == [1]


async def test_message_is_pending_after_the_wait(desk: Desk, hasty: FastCounter) -> None:
    hasty.hand_in({"text": "one"})
    response = await hasty.answer()
    assert response.status == 202
    [id] = hasty.pending_results.made
    assert json.loads(response.body)["id"] == id
    assert hasty.pending_results.kept == {}
    await desk.answer()
    assert len(hasty.given) == 1
    # The outcome came before the worker could see that the result is pending, so the API keeps the
    # outcome.
    assert list(hasty.pending_results.kept) == [id]
    assert hasty.pending_results.released == {}


async def test_outcome_that_arrives_while_it_is_made_pending_is_released(
    desk: Desk, hasty: FastCounter
) -> None:
    hasty.pending_results.meanwhile = desk.answer
    hasty.hand_in({"text": "one"})
    assert (await hasty.answer()).status == 200
    assert list(hasty.pending_results.released) == hasty.pending_results.made


async def test_pending_result_of_one_client_is_not_released_for_another(
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


async def test_result_stays_pending_after_the_dispatcher_gives_up(
    desk: Desk, hasty: FastCounter
) -> None:
    hasty.hand_in({"text": "one"})
    await hasty.answer()
    desk.dispatcher._answer_s = 0.0
    for version_queue in desk.dispatcher._version_queues.values():
        version_queue.in_flight._answer_s = 0.0
    desk.dispatcher._give_up()
    await idle()
    # The task is still in the queue, so there is no outcome to keep.
    assert hasty.pending_results.kept == {}


async def test_message_gets_503_when_no_more_results_may_be_pending(
    desk: Desk, hasty: FastCounter
) -> None:
    hasty.pending_results.room = False
    hasty.hand_in({"text": "one"})
    response = await hasty.answer()
    assert (response.status, json.loads(response.body)["code"]) == (503, "overloaded")
    assert dict(response.headers)["Retry-After"]
    await desk.answer()
    assert hasty.pending_results.kept == hasty.pending_results.released == {}


async def test_message_gets_504_after_its_deadline(desk: Desk, patient: FastCounter) -> None:
    patient.hand_in({"text": "one", "deadline_ms": 50})
    response = await patient.answer()
    assert (response.status, json.loads(response.body)["code"]) == (504, "deadline_passed")
    assert not patient.pending_results.made


async def test_message_gets_503_when_the_broker_is_gone_after_the_wait(hasty: FastCounter) -> None:
    hasty.pending_results.gone = True
    hasty.hand_in({"text": "one"})
    assert (await hasty.answer()).status == 503


async def test_second_waiter_also_fails_when_a_result_can_not_be_made_pending() -> None:
    entry = Entry("1" * 32, "one", "v1")
    entry.sent.set()
    pending_results = Mock(make=AsyncMock(side_effect=RedisError), release=AsyncMock())
    late = LateMessages(Mock(), pending_results)
    for _ in range(2):
        [(_, outcome)] = await late.outcomes([entry], deadline_first=False)
        assert isinstance(outcome, Failure)
        assert outcome.code == "broker_unavailable"


async def test_outcome_that_can_not_be_kept_is_logged_with_its_request_id(
    logged: Callable[[], str],
) -> None:
    entry = Entry("1" * 32, "one", "v1", request_id="first")
    entry.sent.set()
    make, keep = AsyncMock(return_value=True), AsyncMock(side_effect=RedisError)
    pending_results = Mock(make=make, keep=keep, release=AsyncMock())
    await LateMessages(Mock(), pending_results).outcomes([entry], deadline_first=False)
    entry.settle(attribution(entry.id))
    await idle()
    assert "is kept in the cache only:  (request first)\n" in logged()


async def test_defect_while_a_result_is_made_pending_gets_500(
    hasty: FastCounter, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def make(ids: Iterable[str]) -> bool:
        raise ZeroDivisionError

    monkeypatch.setattr(hasty.pending_results, "make", make)
    hasty.hand_in({"text": "one"})
    assert (await hasty.answer()).status == 500


async def test_message_gets_503_when_the_broker_is_down(desk: Desk, patient: FastCounter) -> None:
    desk.broker.down = True
    patient.hand_in({"text": "one"})
    assert (await patient.answer()).status == 503


async def test_bulk_request_is_declined(desk: Desk, patient: FastCounter) -> None:
    assert not patient.hand_in({"messages": [{"text": "one"}]})
    await idle()
    assert not patient.given
    assert not desk.cache.lookups


async def test_invalid_message_and_full_queue_raise(desk: Desk, patient: FastCounter) -> None:
    with pytest.raises(InvalidMessage):
        patient.hand_in({"text": ""})
    patient.hand_in({"text": "one"})
    desk.dispatcher._room = KeyQuota(0)
    desk.dispatcher._room.take(Entry("other", "other", "v1"))
    with pytest.raises(Overloaded):
        patient.hand_in({"text": "two"})
    assert not patient.given


async def test_large_body_is_declined(patient: FastCounter) -> None:
    assert not patient.hand_in({"text": "x" * (bodies.INLINE_PARSE_BYTES + 1)})
    assert not patient.given
