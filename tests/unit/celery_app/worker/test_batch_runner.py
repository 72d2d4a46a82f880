"""The batch runner acknowledges, fails or gives back a batch's tasks, and logs the batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest.mock import Mock

import pytest
from redis import ConnectionError as RedisConnectionError

from celery_app.worker import batch_runner
from model.types import DeviceLost
from tests.unit.celery_app.worker.fakes import FakeRequest, Worker


def test_a_batch_that_fails_is_logged_with_its_requests(
    worker: Worker, logged: Callable[[], str]
) -> None:
    worker.task.error = KeyError("a defect")
    worker.add(
        FakeRequest(2, request_ids=["one", ""]), FakeRequest(), FakeRequest(request_ids=["two"])
    )
    worker.step()
    assert logged().startswith("3 tasks failed (requests one, two)\nTraceback")
    worker.task.device_error = DeviceLost("it is gone")
    worker.add(FakeRequest(request_ids=["three"]))
    worker.step()
    assert "it is gone; 1 tasks go back, and the worker ends (request three)\n" in logged()
    assert worker.batcher.request_ids == ["three"], "the watchdog logs them"


def test_an_end_that_cannot_be_reported_is_logged_with_the_requests_of_that_task(
    worker: Worker, logged: Callable[[], str]
) -> None:
    worker.add(FakeRequest(request_ids=["one"]), second := FakeRequest(request_ids=["two"]))
    second.on_success = Mock(side_effect=KeyError("a defect"))  # type: ignore[method-assign]
    worker.step()
    assert f"the end of the task {second.id} could not be reported (request two)\n" in logged()


def test_revoked_tasks_are_left_out_of_the_batch(worker: Worker) -> None:
    revoked, live = FakeRequest(revoked=True), FakeRequest()
    worker.add(revoked, live)
    worker.step()
    assert worker.task.batches == [1]
    assert (revoked.ended, live.ended) == ("revoked", "succeeded")


def test_a_batch_that_begins_without_redis_is_given_back(worker: Worker) -> None:
    request = FakeRequest()
    worker.task.error = RedisConnectionError("down")
    worker.add(request)
    worker.step()
    assert request.ended == "given back"


def test_a_batch_that_cannot_be_stored_is_given_back(worker: Worker) -> None:
    request = FakeRequest()
    worker.task.store_error = RedisConnectionError("down")
    worker.add(request)
    worker.step()
    assert request.ended == "given back"
    worker.task.store_error = None
    worker.add(again := FakeRequest())
    worker.step()
    assert again.ended == "succeeded"


def test_a_redis_that_stays_down_is_tried_after_longer_and_longer_waits(worker: Worker) -> None:
    worker.task.store_error = RedisConnectionError("down")
    waits = []
    for _ in range(8):
        waits.append(worker.runner.retry_s)
        worker.add(FakeRequest())
        worker.step()
    assert waits[:3] == [0.001, 0.002, 0.004]
    assert waits[-1] == batch_runner.LONGEST_RETRY_S


def test_a_device_that_is_lost_gives_its_tasks_back_and_ends_the_worker(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_runner.state, "should_stop", None)
    worker.overlaps = True
    worker.task.device_error = DeviceLost("the device failed: illegal memory access")
    worker.add(first := FakeRequest(8), second := FakeRequest(8))
    worker.step()
    assert first.ended == "given back"
    assert second.ended == "succeeded"
    assert batch_runner.state.should_stop == 1


def test_a_defect_fails_every_task_and_notifies_the_clients_that_wait(worker: Worker) -> None:
    requests = [FakeRequest(), FakeRequest()]
    worker.task.error = KeyError("a defect")
    worker.add(*requests, revoked := FakeRequest(revoked=True))
    worker.step()
    assert revoked.ended == "revoked"
    assert {request.ended for request in requests} == {"failed"}
    assert len(worker.task.failed) == 2
    worker.add(after := FakeRequest())
    worker.step()
    assert after.ended == "succeeded"


def test_an_error_at_the_end_of_one_request_leaves_the_others_alone(
    worker: Worker,
) -> None:
    broken, others = FakeRequest(), [FakeRequest(), FakeRequest()]

    def fail(outcome: Any) -> None:
        raise ValueError("a result that can't be read")

    broken.on_success = fail  # type: ignore[method-assign]
    worker.add(broken, *others)
    worker.run_all()
    assert broken.ended == "given back"
    assert [other.ended for other in others] == ["succeeded", "succeeded"]
