"""Which waiting tasks are in the next batch: priorities, orphans and duplicates."""

from __future__ import annotations

import pytest

from celery_app.worker.waiting_tasks import MAX_PASSED_OVER
from tests.unit.celery_app.worker.fakes import FakeRequest, Worker


def test_urgent_tasks_go_before_low_priority_tasks_and_share_no_batch_with_them(
    worker: Worker,
) -> None:
    low_priority = [FakeRequest(1, low_priority=True) for _ in range(3)]
    worker.add(*low_priority, FakeRequest(1), FakeRequest(2))
    worker.run_all()
    assert worker.task.batches == [3, 2, 1]  # low priority in small batches: urgent tasks may come
    assert {request.ended for request in low_priority} == {"succeeded"}


def test_low_priority_tasks_get_the_largest_batch_where_no_urgent_tasks_come(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker.add(*(FakeRequest(2, low_priority=True) for _ in range(4)))
    worker.step()
    worker.add(FakeRequest(1), *(FakeRequest(6, low_priority=True) for _ in range(2)))
    worker.run_all()
    assert worker.task.batches == [8, 1, 6, 6]  # a small task is never split


def test_low_priority_tasks_wait_for_a_few_urgent_batches_and_not_for_all(worker: Worker) -> None:
    worker.add(low_priority := FakeRequest(1, low_priority=True))
    worker.add(*(FakeRequest(8) for _ in range(MAX_PASSED_OVER + 1)))
    for _ in range(MAX_PASSED_OVER):
        worker.step()
    assert low_priority.ended == ""
    worker.step()
    assert low_priority.ended == "succeeded"


def test_a_task_that_a_worker_died_with_is_a_batch_of_its_own(worker: Worker) -> None:
    orphan = FakeRequest(2, orphaned=True)
    worker.add(FakeRequest(1), orphan, FakeRequest(3), FakeRequest(1))
    for _ in range(2):
        worker.step()
    assert worker.task.batches == [5, 2]
    assert worker.task.alone == [2]
    assert orphan.ended == "succeeded"


def test_a_task_delivered_twice_is_not_twice_in_a_batch(worker: Worker) -> None:
    first, again = FakeRequest(), FakeRequest()
    again.id = first.id
    worker.add(first, again)
    worker.step()
    worker.step()
    assert worker.task.batches == [1, 1]
