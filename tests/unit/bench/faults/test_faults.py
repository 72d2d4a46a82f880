"""Tests of the outcomes of faults: which outcomes are harmless, and which cause complaints."""

from __future__ import annotations

from typing import Any

import pytest

from bench.faults.__main__ import FAULTS, HONEST, Outcome
from bench.faults.loss import Loss
from bench.load.recorder import BROKEN, NO_ANSWER


def outcome(
    answered: int = 90,
    kept: int = 4,
    broken: int = 0,
    failed: dict[str, int] | None = None,
    contradicted: int = 0,
    **more: Any,
) -> Outcome:
    failed = {"broker_unavailable": 6} if failed is None else failed
    loss = Loss(100, answered, kept, broken, failed, None, 0.0)
    return Outcome(loss, contradicted, 3, **more)


@pytest.mark.parametrize("reason", sorted(HONEST))
def test_a_refusal_with_an_allowed_reason_does_no_harm(reason: str) -> None:
    found = outcome(failed={reason: 6}, ordered=100)
    assert found.harmless
    assert found.complaints == []


@pytest.mark.parametrize(
    "reason", [NO_ANSWER, BROKEN, "never sent", "internal_error", "model_failed", "HTTP 500"]
)
def test_a_failure_with_another_reason_does_harm(reason: str) -> None:
    found = outcome(failed={"overloaded": 2, reason: 4})
    assert not found.harmless
    assert found.complaints == [f"4 {reason}: not an allowed reason"]


def test_connections_may_break_only_where_the_api_is_killed() -> None:
    assert outcome(failed={BROKEN: 6}, allowed_reasons=HONEST | {BROKEN}).harmless
    assert [fault.name for fault in FAULTS if BROKEN in fault.allowed_reasons] == [
        "the api is killed"
    ]
    assert all(NO_ANSWER not in fault.allowed_reasons for fault in FAULTS)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (outcome(ordered=120), "100 sent, and not 120"),
        (outcome(answered=89), "100 sent, and 99 accounted for"),
        (outcome(kept=3, broken=1), "1 lost"),
        (outcome(contradicted=2), "2 effects doubled"),
    ],
)
def test_each_kind_of_harm_is_a_complaint(found: Outcome, words: str) -> None:
    assert not found.harmless
    assert found.complaints == [words]


def test_computing_a_message_twice_is_counted_and_does_no_harm() -> None:
    assert outcome().line("a fault") == (
        "| a fault | 100 | 90 | 4 | 6 (6 broker_unavailable) | 0 | 0 | 3 | at once |"
    )
