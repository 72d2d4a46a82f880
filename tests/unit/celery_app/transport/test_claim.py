"""The order in which claims read priorities, and the command of a claim."""

from __future__ import annotations

from celery_app.transport.claim import (
    CLAIM_SCRIPT,
    LATER_FIRST,
    ClaimedTask,
    PriorityOrder,
    claim_command,
    claim_prefix,
    claimed_tasks,
    first_list,
)

STEPS = [0, 3, 6, 9]


def test_the_highest_priority_is_first_while_claims_leave_nothing_behind() -> None:
    order = PriorityOrder()
    for _ in range(3 * LATER_FIRST):
        assert order.steps(STEPS, first_only=False) == STEPS
        order.record(left_behind=False)


def test_each_lower_priority_has_a_turn_while_claims_leave_tasks_behind() -> None:
    order, firsts = PriorityOrder(), []
    for _ in range(3 * LATER_FIRST):
        steps = order.steps(STEPS, first_only=False)
        assert sorted(steps) == STEPS
        firsts.append(steps[0])
        order.record(left_behind=True)
    assert firsts == [step for later in (3, 6, 9) for step in [0] * (LATER_FIRST - 1) + [later]]


def test_only_the_highest_priority_is_read_where_no_other_is_wanted() -> None:
    order = PriorityOrder()
    for _ in range(LATER_FIRST):
        assert order.steps(STEPS, first_only=True) == [0]
        order.record(left_behind=True)


def test_a_claim_names_its_lists_and_the_acknowledged_tasks() -> None:
    prefix = claim_prefix(["a", "b"], ["unacked", "index"], recorded=[1, 0])
    command = claim_command(prefix, 4, [b"tag"])
    assert command[:7] == ["EVAL", CLAIM_SCRIPT, 4, "a", "b", "unacked", "index"]
    assert command[8:] == [4, 1, 0, b"tag"]
    assert first_list(command) == "a"


def test_a_response_is_read_three_by_three() -> None:
    assert claimed_tasks([b"a", b"1", b"x", b"b", b"2", b""]) == [
        ClaimedTask(b"a", b"1", b"x"),
        ClaimedTask(b"b", b"2", b""),
    ]
    assert claimed_tasks([]) == []
