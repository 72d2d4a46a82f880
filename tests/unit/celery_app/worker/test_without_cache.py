"""What a worker does while the cache, on a server of its own, is gone."""

from __future__ import annotations

from typing import Any

import pytest
from redis import ConnectionError as RedisConnectionError

from tests.parts import wait_for
from tests.unit.celery_app.fakes import FakeRequest, Worker


def test_with_the_cache_gone_who_waits_is_answered_and_the_rest_comes_again(worker: Worker) -> None:
    worker.task.answers_apart = True
    worker.task.store_error = RedisConnectionError("gone")
    for number in range(2):  # the second time, nothing is tried
        waits, celerys = FakeRequest(), FakeRequest(reply_to=None)
        waits.may_be_unstored = True
        worker.add(waits, celerys)
        worker.step()
        assert worker.task.replied == number + 1
        assert (waits.ended, celerys.ended) == ("succeeded", "" if number else "accepted")
        wait_for(lambda: celerys.ended == "given back", 5, "the retry")  # noqa: B023
    assert worker.task.cache_gone.resting


def test_a_worker_that_ends_gives_back_what_could_not_be_stored(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker.task.answers_apart = True
    worker.task.store_error = RedisConnectionError("gone")
    monkeypatch.setattr(worker.batcher._delayed_requeue, "_seconds", 60.0)
    celerys = FakeRequest(reply_to=None)
    worker.add(celerys)
    worker.step()
    assert celerys.ended == "accepted"
    worker.batcher.close()
    assert celerys.ended == "given back"


def test_with_the_cache_gone_nobody_is_computed_who_needs_it(worker: Worker) -> None:
    worker.task.answers_apart = True
    worker.task.cache_gone.failed()
    celerys, orphan = FakeRequest(reply_to=None), FakeRequest(orphaned=True)
    waits = FakeRequest()
    waits.may_be_unstored = True
    worker.add(celerys, orphan)
    worker.add(waits)
    while worker.submitted:
        worker.step()
    assert worker.task.batches == [1]
    assert (waits.ended, celerys.ended, orphan.ended) == ("succeeded", "", "")
    wait_for(lambda: celerys.ended == orphan.ended == "given back", 5, "the retry")


def test_a_worker_that_ends_in_a_batch_gives_back_what_that_could_not_store(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker.task.answers_apart = True
    worker.task.store_error = RedisConnectionError("gone")
    monkeypatch.setattr(worker.batcher._delayed_requeue, "_seconds", 60.0)
    finish = worker.task.finish

    def stopped(in_flight: int, pipe: Any) -> None:
        worker.batcher.close()
        finish(in_flight, pipe)

    monkeypatch.setattr(worker.task, "finish", stopped)
    celerys = FakeRequest(reply_to=None)
    worker.add(celerys)
    worker.step()
    assert celerys.ended == "given back"
