"""The batcher: when a batch starts, its messages, and whether the worker takes more tasks."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import pytest
from redis import ConnectionError as RedisConnectionError

from celery_app.worker import batcher
from celery_app.worker.waiting_tasks import NextBatch
from tasks.batch.in_flight import InFlightBatch
from tests.unit.celery_app.worker.fakes import FakeRequest, Worker


def test_an_idle_worker_starts_a_batch_at_once(worker: Worker) -> None:
    worker.add(FakeRequest())
    assert len(worker.submitted) == 1


def test_tasks_that_arrive_while_the_thread_is_busy_become_one_batch(worker: Worker) -> None:
    requests = [FakeRequest(2) for _ in range(3)]
    worker.add(*requests)
    assert len(worker.submitted) == 1
    worker.step()
    assert worker.task.batches == [6]
    assert {request.ended for request in requests} == {"succeeded"}
    assert not worker.submitted


def test_a_batch_holds_no_more_than_the_limit(worker: Worker) -> None:
    worker.add(FakeRequest(5), FakeRequest(3), FakeRequest(1), FakeRequest(8))
    for _ in range(3):
        worker.step()
    assert worker.task.batches == [8, 1, 8]


def test_a_batch_of_long_texts_holds_fewer_messages(worker: Worker) -> None:
    long = "x" * 6_000  # as much work as three short messages
    worker.add(*(FakeRequest(1, text=long) for _ in range(4)), FakeRequest(2))
    worker.run_all()
    assert worker.task.batches == [2, 4]


def test_a_pool_that_refuses_is_asked_again_with_the_next_task(worker: Worker) -> None:
    worker.submit_error = RuntimeError("can't start new thread")
    with pytest.raises(RuntimeError):
        worker.add(first := FakeRequest())
    worker.add(FakeRequest())
    worker.step()
    assert first.ended == "succeeded"


def test_there_is_room_for_two_batches(worker: Worker) -> None:
    worker.add(FakeRequest(8))
    assert worker.batcher.has_room()
    worker.add(FakeRequest(8))
    assert not worker.batcher.has_room()
    worker.step()
    assert worker.batcher.has_room()


def test_a_slow_model_has_room_only_for_tasks_that_it_can_finish_in_time(worker: Worker) -> None:
    worker.runner.seconds_per_work = 0.25
    worker.add(FakeRequest(3))
    assert worker.batcher.has_room()
    worker.add(FakeRequest(1))
    assert not worker.batcher.has_room()


def test_a_few_long_messages_leave_no_room(worker: Worker) -> None:
    worker.add(*(FakeRequest(1, text="x" * 16_000) for _ in range(2)))
    assert not worker.batcher.has_room()
    assert worker.batcher.waiting == 2


def test_a_large_task_leaves_room_for_small_tasks(worker: Worker) -> None:
    worker.add(FakeRequest(1000), FakeRequest(1000))
    assert worker.batcher.has_room()
    assert worker.batcher.waiting == 2000
    worker.add(FakeRequest(8))
    assert not worker.batcher.has_room()


def test_a_worker_has_no_room_once_it_holds_many_large_tasks(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batcher, "MAX_LARGE_WORK", 1500)
    worker.add(FakeRequest(1000))
    assert worker.batcher.has_room()
    worker.add(FakeRequest(1000))
    assert not worker.batcher.has_room()


def test_low_priority_tasks_leave_room_for_urgent_tasks_only(
    worker: Worker,
) -> None:
    worker.add(FakeRequest(7, low_priority=True))
    assert not worker.batcher.wants_urgent_only()
    worker.add(*(FakeRequest(8, low_priority=True) for _ in range(3)))
    assert worker.batcher.wants_urgent_only()
    assert worker.batcher.has_room()
    worker.add(FakeRequest(8), FakeRequest(8))
    assert not worker.batcher.has_room()
    worker.batcher.close()


def test_orphaned_tasks_that_wait_to_be_tried_alone_count_for_room(worker: Worker) -> None:
    worker.add(*(FakeRequest(4, orphaned=True) for _ in range(4)))
    assert not worker.batcher.has_room()
    assert worker.batcher.waiting == 16


def test_closing_gives_back_the_tasks_that_are_in_no_batch(worker: Worker) -> None:
    worker.add(waiting := FakeRequest())
    worker.batcher.close()
    assert waiting.ended == "given back"
    worker.step()  # the model's thread finds no tasks
    worker.add(late := FakeRequest())
    assert late.ended == "given back"
    assert worker.task.batches == []


def test_short_memory_is_freed_between_batches_and_when_idle(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker.batcher.set_memory_is_short(
        True
    )  # while tasks are refused, no batch may ever come again
    worker.step()
    assert (worker.task.freed, worker.task.batches) == (1, [])
    worker.batcher.set_memory_is_short(True)
    assert not worker.submitted, "memory was freed a moment ago"
    monkeypatch.setattr(batcher, "FREE_S", 0.0)
    worker.add(FakeRequest(1))
    worker.step()
    assert (worker.task.freed, worker.task.batches) == (2, [1])
    worker.batcher.set_memory_is_short(False)
    worker.add(FakeRequest(1))
    worker.step()
    assert worker.task.freed == 2


def test_silence_is_measured_while_the_thread_is_busy(worker: Worker) -> None:
    assert worker.batcher.silent_s == 0.0
    silence: list[float] = []
    begin = worker.task.begin

    def slow(chunks: Sequence[Any]) -> InFlightBatch:
        time.sleep(0.02)  # the forward pass
        silence.append(worker.batcher.silent_s)
        return begin(chunks)

    worker.task.begin = slow  # type: ignore[method-assign]
    worker.add(FakeRequest())
    worker.step()
    assert silence[0] >= 0.02
    assert worker.batcher.silent_s == 0.0


def test_a_device_that_overlaps_gets_the_next_batch_before_the_last_is_finished(
    worker: Worker,
) -> None:
    worker.overlaps = True
    worker.add(*(requests := [FakeRequest(8) for _ in range(3)]))
    worker.step()
    assert worker.task.order == [
        *("begin 1", "begin 2", "finish 1", "begin 3", "finish 2", "finish 3"),
    ]
    assert {request.ended for request in requests} == {"succeeded"}
    assert not worker.submitted


def test_a_single_batch_is_finished_at_once_on_a_device_that_overlaps(worker: Worker) -> None:
    worker.overlaps = True
    worker.add(FakeRequest())
    worker.step()
    assert worker.task.order == ["begin 1", "finish 1"]


def test_a_batch_that_fails_leaves_the_overlapping_batch_alone(worker: Worker) -> None:
    worker.overlaps = True
    worker.task.device_error = RuntimeError("of the device")
    first, second, third = (FakeRequest(8) for _ in range(3))
    worker.add(first, second, third)
    worker.step()
    assert [r.ended for r in (first, second, third)] == ["failed", "succeeded", "succeeded"]


def test_a_batch_that_cannot_begin_leaves_the_computing_batch_alone(worker: Worker) -> None:
    worker.overlaps = True
    first, second, third = (FakeRequest(8) for _ in range(3))
    begin = worker.task.begin

    def fail_the_second(chunks: Sequence[Any]) -> InFlightBatch:
        if chunks[0] is second.chunk:
            raise KeyError("a defect")
        return begin(chunks)

    worker.task.begin = fail_the_second  # type: ignore[method-assign]
    worker.add(first, second, third)
    while worker.submitted:
        worker.step()
    assert [r.ended for r in (first, second, third)] == ["succeeded", "failed", "succeeded"]


def test_a_computing_batch_is_finished_even_if_the_next_one_raises_beyond_all_handlers(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker.overlaps = True
    first, second = FakeRequest(8), FakeRequest(8)
    begin = worker.runner.begin

    def break_on_the_second(taken: NextBatch) -> Any:
        if second in taken.requests:
            raise RedisConnectionError("down, while the failure was being stored")
        return begin(taken)

    monkeypatch.setattr(worker.runner, "begin", break_on_the_second)
    worker.add(first, second)
    worker.step()
    assert first.ended == "succeeded"
    assert second.ended == ""  # neither acknowledged nor lost: the broker delivers it again
    worker.add(after := FakeRequest())
    worker.step()
    assert after.ended == "succeeded"
