"""A worker whose separate cache server is down sends replies, and requeues other tasks."""

from __future__ import annotations

from typing import Any

import pytest
from redis import ConnectionError as RedisConnectionError

from tests.parts import wait_for
from tests.unit.celery_app.worker.fakes import FakeRequest, Worker


def test_without_cache_a_client_that_waits_gets_its_reply_and_other_tasks_are_requeued(
    worker: Worker,
) -> None:
    worker.task.has_separate_cache = True
    worker.task.store_error = RedisConnectionError("gone")
    for number in range(2):  # the second batch does not try to store results
        waiting, with_result = FakeRequest(), FakeRequest(reply_to=None)
        waiting.may_be_unstored = True
        worker.add(waiting, with_result)
        worker.step()
        assert worker.task.replied == number + 1
        assert (waiting.ended, with_result.ended) == ("succeeded", "" if number else "accepted")
        wait_for(lambda: with_result.ended == "given back", 5, "the retry")  # noqa: B023
    assert worker.task.cache_cooldown.resting


def test_a_worker_that_ends_gives_back_tasks_whose_results_could_not_be_stored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    worker = Worker(monkeypatch, longest_retry_s=60.0)
    worker.task.has_separate_cache = True
    worker.task.store_error = RedisConnectionError("gone")
    with_result = FakeRequest(reply_to=None)
    worker.add(with_result)
    worker.step()
    assert with_result.ended == "accepted"
    worker.batcher.close()
    assert with_result.ended == "given back"


def test_without_cache_tasks_that_need_it_are_requeued_and_not_computed(worker: Worker) -> None:
    worker.task.has_separate_cache = True
    worker.task.cache_cooldown.failed()
    with_result, orphan = FakeRequest(reply_to=None), FakeRequest(orphaned=True)
    waiting = FakeRequest()
    waiting.may_be_unstored = True
    worker.add(with_result, orphan)
    worker.add(waiting)
    while worker.submitted:
        worker.step()
    assert worker.task.batches == [1]
    assert (waiting.ended, with_result.ended, orphan.ended) == ("succeeded", "", "")
    wait_for(lambda: with_result.ended == orphan.ended == "given back", 5, "the retry")


def test_a_worker_that_ends_in_a_batch_gives_back_tasks_that_the_batch_could_not_store(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    worker = Worker(monkeypatch, longest_retry_s=60.0)
    worker.task.has_separate_cache = True
    worker.task.store_error = RedisConnectionError("gone")
    finish = worker.task.finish

    def stopped(batch: int, pipe: Any) -> None:
        worker.batcher.close()
        finish(batch, pipe)

    monkeypatch.setattr(worker.task, "finish", stopped)
    with_result = FakeRequest(reply_to=None)
    worker.add(with_result)
    worker.step()
    assert with_result.ended == "given back"
