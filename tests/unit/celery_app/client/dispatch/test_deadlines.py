"""Errors of deadlines: Byline missed the deadline, or even an idle Byline could not keep it."""

from __future__ import annotations

import msgspec
import pytest

from celery_app.client.dispatch.deadlines import (
    MIN_LATENCY_S,
    OBJECTIVE_S,
    IdleLatency,
    deadline_failure,
    for_caller,
    too_short,
)
from celery_app.client.dispatch.latency_model import LatencyModel
from celery_app.client.entry import Entry
from tasks.errors import DeadlinePassed
from tasks.messages import Failure, Reply
from tests.unit.api.counter import Counter
from tests.unit.celery_app.client.desk import Desk, attribution, idle
from tests.unit.celery_app.client.dispatch.test_latency_model import Clock


def asked(limit_s: float | None) -> Entry:
    return Entry("1", "1", "v1", deadline_s=limit_s)


def latency(*seconds: float) -> IdleLatency:
    made = IdleLatency()
    for each in seconds:
        made.record(each)
    return made


def test_before_the_first_answer_only_an_impossible_deadline_is_too_short() -> None:
    assert latency().seconds == MIN_LATENCY_S
    assert too_short(asked(0.001), latency())
    assert not too_short(asked(MIN_LATENCY_S), latency())


def test_a_deadline_below_the_usual_latency_is_too_short() -> None:
    usual = latency(*[0.008] * 5)
    assert usual.seconds == pytest.approx(0.008)
    assert too_short(asked(0.007), usual)
    assert not too_short(asked(0.009), usual)


def test_a_slow_first_answer_is_forgotten() -> None:
    assert latency(0.05, *[0.005] * 60).seconds < 0.01


def test_one_quick_answer_does_not_become_the_usual_latency() -> None:
    assert latency(*[0.01] * 20, 0.001).seconds > 0.009


def test_a_model_that_becomes_slow_does_not_raise_the_latency() -> None:
    assert latency(*[0.005] * 20, *[0.05] * 200).seconds == pytest.approx(0.005)


def test_a_deadline_as_long_as_the_objective_is_never_too_short() -> None:
    slow = latency(*[0.4] * 20)
    assert not too_short(asked(OBJECTIVE_S), slow)
    assert too_short(asked(0.05), slow)


def test_a_message_without_a_deadline_is_never_too_short() -> None:
    assert not too_short(asked(None), latency())


def test_a_late_outcome_becomes_deadline_too_short_or_deadline_passed() -> None:
    late, other = Failure("1", DeadlinePassed.code, "late"), Failure("1", "model_failed", "no")
    assert for_caller(asked(0.001), late, latency()) == deadline_failure(asked(0.001), latency())
    assert deadline_failure(asked(0.001), latency()).code == "deadline_too_short"
    assert deadline_failure(asked(1.0), latency()).code == "deadline_passed"
    assert for_caller(asked(0.001), other, latency()) is other
    assert for_caller(asked(0.001), attribution("1"), latency()) == attribution("1")


def test_only_a_chunk_with_no_chunk_ahead_counts() -> None:
    clock = Clock()
    latency_model, sent_at = LatencyModel(clock), clock.now
    clock.now += 0.02
    latency_model.came_back(1, sent_at)
    latency_model.came_back(1, sent_at, alone=True)  # the chunk before was ahead of it
    assert latency_model.idle.seconds == MIN_LATENCY_S
    sent_at = clock.now
    clock.now += 0.006
    latency_model.came_back(1, sent_at, alone=True)
    assert latency_model.idle.seconds == pytest.approx(0.006)


@pytest.mark.anyio
async def test_only_an_answered_chunk_of_one_message_counts(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted: list[float] = []
    monkeypatch.setattr(IdleLatency, "record", lambda self, seconds: noted.append(seconds))
    await desk.ask("1", "2")
    await desk.answer(0)
    await desk.ask("3")
    failed = Reply(list(desk.broker.chunks)[1], [Failure("3", DeadlinePassed.code, "late")])
    desk.broker.replies.put_nowait(msgspec.json.encode(failed))
    await idle()
    assert not noted
    await desk.ask("4")
    await desk.answer(2)
    assert len(noted) == 1


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("deadline_ms", "status", "code"),
    [(1, 504, "deadline_too_short"), (40, 504, "deadline_passed")],
)
async def test_the_error_code_says_whether_the_deadline_was_too_short(
    desk: Desk, deadline_ms: int, status: int, code: str
) -> None:
    counter = Counter(desk, 30.0)
    counter.hand_in({"text": "one", "deadline_ms": deadline_ms})
    given = await counter.answer()
    assert given.status == status
    assert code.encode() in given.body
    # Exactly the statuses ``5..`` count as failures of Byline; see alerting/windows.yml.
    assert given.metrics_status == ("504_too_short" if code == "deadline_too_short" else "")


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("limit_s", "code", "outcome"),
    [(0.001, "deadline_too_short", "deadline_too_short"), (0.05, "overloaded", "shed")],
)
async def test_a_message_that_a_queue_makes_late_is_refused_as_overloaded(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, limit_s: float, code: str, outcome: str
) -> None:
    monkeypatch.setattr(
        "celery_app.client.dispatch.admission.Admission.too_late", lambda self, entry: True
    )
    [entry] = await desk.ask("1", deadline_s=limit_s)
    await idle()
    assert isinstance(entry.outcome, Failure)
    assert entry.outcome.code == code
    await desk.dispatcher.stop()  # adds the gathered counts to the metrics
    name = "byline_messages_total"
    assert desk.registry.get_sample_value(name, {"outcome": outcome}) == 1
    assert desk.broker.sizes() == []
