"""Tasks with more work than a batch are computed in passes. Other batches run between passes."""

from __future__ import annotations

from typing import Any

from redis import ConnectionError as RedisConnectionError

from tasks.batch.in_flight import InFlightBatch
from tests.unit.celery_app.worker.fakes import FakeRequest, Worker


def test_a_large_task_is_computed_in_passes_with_other_batches_between_them(worker: Worker) -> None:
    large, small = FakeRequest(20), FakeRequest(1)
    worker.add(large)
    worker.step()
    assert (large.ended, large.computed) == ("accepted", 8)
    worker.add(small, FakeRequest(2))
    worker.step()
    assert (small.ended, large.ended) == ("succeeded", "accepted")
    worker.run_all()
    assert worker.task.batches == [8, 3, 8, 4]
    assert large.ended == "succeeded"
    assert worker.batcher.waiting == 0


def test_a_task_with_evidence_is_computed_in_passes_with_other_batches_between_them(
    worker: Worker,
) -> None:
    worker.add(explained := FakeRequest(3, explain=True))
    worker.step()
    worker.add(small := FakeRequest(2))
    worker.step()
    assert (small.ended, explained.ended) == ("succeeded", "accepted")
    worker.run_all()
    assert worker.task.batches == [1, 2, 1, 1]
    assert explained.ended == "succeeded"


def test_a_message_that_is_more_work_than_a_batch_is_computed_all_the_same(worker: Worker) -> None:
    worker.add(huge := FakeRequest(2, text="x" * 20_000, explain=True))
    worker.run_all()
    assert worker.task.batches == [1, 1]
    assert huge.ended == "succeeded"


def test_a_large_task_that_is_revoked_between_passes_is_computed_no_further(worker: Worker) -> None:
    worker.add(large := FakeRequest(20))
    worker.step()
    large.revoke()
    worker.run_all()
    assert (large.ended, large.computed) == ("revoked", 8)


def test_a_worker_that_ends_between_two_passes_gives_the_large_task_back(worker: Worker) -> None:
    worker.add(between := FakeRequest(20))
    worker.step()
    worker.batcher.close()
    assert between.ended == "given back"


def test_a_worker_that_ends_in_a_pass_gives_the_large_task_back_after_it(worker: Worker) -> None:
    worker.add(large := FakeRequest(20))
    finish = worker.task.finish

    def closing(batch: InFlightBatch, pipe: Any) -> Any:
        worker.batcher.close()
        return finish(batch, pipe)

    worker.task.finish = closing  # type: ignore[method-assign]
    worker.run_all()
    assert (large.ended, large.computed) == ("given back", 8)


def test_a_pass_that_cannot_be_stored_gives_the_large_task_back(worker: Worker) -> None:
    worker.add(large := FakeRequest(20))
    worker.step()
    worker.task.store_error = RedisConnectionError("down")
    worker.step()
    assert large.ended == "given back"
    assert not worker.submitted


def test_a_defect_in_a_pass_fails_the_large_task(worker: Worker) -> None:
    worker.add(large := FakeRequest(20))
    worker.step()
    worker.task.error = KeyError("a defect")
    worker.run_all()
    assert large.ended == "failed"
    assert [len(chunk.texts) for chunk in worker.task.failed] == [20]


def test_passes_and_batches_overlap_on_a_device_that_overlaps(worker: Worker) -> None:
    worker.overlaps = True
    small, large = FakeRequest(1), FakeRequest(16)
    worker.add(small, large)
    worker.run_all()
    assert worker.task.order[:3] == ["begin 1", "begin 2", "finish 1"]
    assert (small.ended, large.ended) == ("succeeded", "succeeded")
