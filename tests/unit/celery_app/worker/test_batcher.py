"""The batcher: what gathers, what is taken, what is given back."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any
from unittest.mock import Mock

import pytest
from redis import ConnectionError as RedisConnectionError

from celery_app.worker import batcher
from celery_app.worker.waiting_tasks import PASSED_OVER, Taken
from model.types import DeviceLost
from tasks.batch import InFlightBatch
from tests.unit.celery_app.fakes import FakeRequest, Worker


def test_an_idle_worker_starts_at_once(worker: Worker) -> None:
    worker.add(FakeRequest())
    assert len(worker.submitted) == 1


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
    assert worker.batcher.request_ids == ["three"], "the watchdog names them"


def test_an_end_that_can_not_be_told_is_logged_with_the_requests_of_that_task(
    worker: Worker, logged: Callable[[], str]
) -> None:
    worker.add(FakeRequest(request_ids=["one"]), second := FakeRequest(request_ids=["two"]))
    second.on_success = Mock(side_effect=KeyError("a defect"))  # type: ignore[method-assign]
    worker.step()
    assert f"the end of the task {second.id} could not be told (request two)\n" in logged()


def test_what_gathers_meanwhile_is_one_batch(worker: Worker) -> None:
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


def run_all(worker: Worker) -> None:
    while worker.submitted:
        worker.step()


def test_a_large_task_is_computed_in_passes_and_others_between_them(worker: Worker) -> None:
    large, small = FakeRequest(20), FakeRequest(1)
    worker.add(large)
    worker.step()
    assert (large.ended, large.computed) == ("accepted", 8)
    worker.add(small, FakeRequest(2))
    worker.step()
    assert (small.ended, large.ended) == ("succeeded", "accepted")
    run_all(worker)
    assert worker.task.batches == [8, 3, 8, 4]
    assert large.ended == "succeeded"
    assert worker.batcher.waiting == 0


def test_a_batch_is_limited_by_the_length_of_its_texts(worker: Worker) -> None:
    long = "x" * 6_000  # as much work as three short ones
    worker.add(*(FakeRequest(1, text=long) for _ in range(4)), FakeRequest(2))
    run_all(worker)
    assert worker.task.batches == [2, 4]


def test_a_task_with_evidence_is_computed_in_passes_and_others_between_them(worker: Worker) -> None:
    worker.add(explained := FakeRequest(3, explain=True))
    worker.step()
    worker.add(small := FakeRequest(2))
    worker.step()
    assert (small.ended, explained.ended) == ("succeeded", "accepted")
    run_all(worker)
    assert worker.task.batches == [1, 2, 1, 1]
    assert explained.ended == "succeeded"


def test_a_message_that_is_more_work_than_a_batch_is_computed_all_the_same(worker: Worker) -> None:
    worker.add(huge := FakeRequest(2, text="x" * 20_000, explain=True))
    run_all(worker)
    assert worker.task.batches == [1, 1]
    assert huge.ended == "succeeded"


def test_pressing_tasks_go_before_those_behind_and_share_no_batch_with_them(
    worker: Worker,
) -> None:
    behind = [FakeRequest(1, behind=True) for _ in range(3)]
    worker.add(*behind, FakeRequest(1), FakeRequest(2))
    run_all(worker)
    assert worker.task.batches == [3, 2, 1]  # those behind in small batches: others may come
    assert {request.ended for request in behind} == {"succeeded"}


def test_tasks_behind_have_the_largest_batch_where_no_others_come(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker.add(*(FakeRequest(2, behind=True) for _ in range(4)))
    worker.step()
    worker.add(FakeRequest(1), *(FakeRequest(6, behind=True) for _ in range(2)))
    run_all(worker)
    assert worker.task.batches == [8, 1, 6, 6]  # a task is never cut


def test_tasks_behind_wait_for_a_few_batches_and_not_for_all(worker: Worker) -> None:
    worker.add(behind := FakeRequest(1, behind=True))
    worker.add(*(FakeRequest(8) for _ in range(PASSED_OVER + 1)))
    for _ in range(PASSED_OVER):
        worker.step()
    assert behind.ended == ""
    worker.step()
    assert behind.ended == "succeeded"


def test_tasks_behind_leave_room_for_pressing_ones_and_for_no_more_of_their_kind(
    worker: Worker,
) -> None:
    worker.add(FakeRequest(7, behind=True))
    assert not worker.batcher.wants_pressing_only()
    worker.add(*(FakeRequest(8, behind=True) for _ in range(3)))
    assert worker.batcher.wants_pressing_only()
    assert worker.batcher.has_room()
    worker.add(FakeRequest(8), FakeRequest(8))
    assert not worker.batcher.has_room()
    worker.batcher.close()


def test_what_is_much_work_leaves_no_room(worker: Worker) -> None:
    worker.add(*(FakeRequest(1, text="x" * 16_000) for _ in range(2)))
    assert not worker.batcher.has_room()
    assert worker.batcher.waiting == 2


def test_a_large_task_keeps_no_others_out(worker: Worker) -> None:
    worker.add(FakeRequest(1000), FakeRequest(1000))
    assert worker.batcher.has_room()
    assert worker.batcher.waiting == 2000
    worker.add(FakeRequest(8))
    assert not worker.batcher.has_room()


def test_a_worker_holds_not_all_the_large_tasks(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batcher, "LARGE_HELD", 1500)
    worker.add(FakeRequest(1000))
    assert worker.batcher.has_room()
    worker.add(FakeRequest(1000))
    assert not worker.batcher.has_room()


def test_a_large_task_that_is_revoked_meanwhile_is_computed_no_further(worker: Worker) -> None:
    worker.add(large := FakeRequest(20))
    worker.step()
    large.revoke()
    run_all(worker)
    assert (large.ended, large.computed) == ("revoked", 8)


def test_a_large_task_is_given_back_between_two_passes(worker: Worker) -> None:
    worker.add(between := FakeRequest(20))
    worker.step()
    worker.batcher.close()
    assert between.ended == "given back"


def test_a_large_task_is_given_back_after_the_pass_that_runs(worker: Worker) -> None:
    worker.add(large := FakeRequest(20))
    finish = worker.task.finish

    def closing(in_flight: InFlightBatch, pipe: Any) -> Any:
        worker.batcher.close()
        return finish(in_flight, pipe)

    worker.task.finish = closing  # type: ignore[method-assign]
    run_all(worker)
    assert (large.ended, large.computed) == ("given back", 8)


def test_a_pass_that_can_not_be_stored_gives_the_large_task_back(worker: Worker) -> None:
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
    run_all(worker)
    assert large.ended == "failed"
    assert [len(chunk.texts) for chunk in worker.task.failed] == [20]


def test_passes_and_batches_overlap_on_a_device_that_does(worker: Worker) -> None:
    worker.overlaps = True
    small, large = FakeRequest(1), FakeRequest(16)
    worker.add(small, large)
    run_all(worker)
    assert worker.task.order[:3] == ["begin 1", "begin 2", "finish 1"]
    assert (small.ended, large.ended) == ("succeeded", "succeeded")


def test_a_pool_that_refuses_is_asked_again(worker: Worker) -> None:
    submit = worker.batcher._submit

    def refuse(target: Any) -> None:
        worker.batcher._submit = submit
        raise RuntimeError("can't start new thread")

    worker.batcher._submit = refuse
    with pytest.raises(RuntimeError):
        worker.add(first := FakeRequest())
    worker.add(FakeRequest())
    worker.step()
    assert first.ended == "succeeded"


def test_the_revoked_are_left_out(worker: Worker) -> None:
    revoked, live = FakeRequest(revoked=True), FakeRequest()
    worker.add(revoked, live)
    worker.step()
    assert worker.task.batches == [1]
    assert (revoked.ended, live.ended) == ("revoked", "succeeded")


def test_what_a_worker_died_with_is_a_batch_alone(worker: Worker) -> None:
    orphan = FakeRequest(2, orphaned=True)
    worker.add(FakeRequest(1), orphan, FakeRequest(3), FakeRequest(1))
    for _ in range(2):
        worker.step()
    assert worker.task.batches == [5, 2]
    assert worker.task.alone == [2]
    assert orphan.ended == "succeeded"


def test_a_busy_thread_that_is_silent_shows(worker: Worker) -> None:
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


def test_without_redis_nothing_is_acknowledged(worker: Worker) -> None:
    request = FakeRequest()
    worker.task.error = RedisConnectionError("down")
    worker.add(request)
    worker.step()
    assert request.ended == "given back"


def test_what_could_not_be_stored_is_not_acknowledged(worker: Worker) -> None:
    request = FakeRequest()
    worker.task.store_error = RedisConnectionError("down")
    worker.add(request)
    worker.step()
    assert request.ended == "given back"
    worker.task.store_error = None
    worker.add(again := FakeRequest())
    worker.step()
    assert again.ended == "succeeded"


def test_a_redis_that_stays_down_is_tried_less_and_less(worker: Worker) -> None:
    worker.task.store_error = RedisConnectionError("down")
    waits = []
    for _ in range(8):
        waits.append(worker.batcher._retry_s)
        worker.add(FakeRequest())
        worker.step()
    assert waits[:3] == [0.001, 0.002, 0.004]
    assert waits[-1] == batcher.LONGEST_RETRY_S


def test_a_task_delivered_twice_is_not_twice_in_a_batch(worker: Worker) -> None:
    first, again = FakeRequest(), FakeRequest()
    again.id = first.id
    worker.add(first, again)
    worker.step()
    worker.step()
    assert worker.task.batches == [1, 1]


def test_there_is_room_for_two_batches(worker: Worker) -> None:
    worker.add(FakeRequest(8))
    assert worker.batcher.has_room()
    worker.add(FakeRequest(8))
    assert not worker.batcher.has_room()
    worker.step()
    assert worker.batcher.has_room()


def test_a_slow_model_has_room_for_what_it_can_see_to_in_time(worker: Worker) -> None:
    worker.batcher._pace_s = 0.25
    worker.add(FakeRequest(3))
    assert worker.batcher.has_room()
    worker.add(FakeRequest(1))
    assert not worker.batcher.has_room()


def test_a_device_that_is_lost_gives_its_tasks_back_and_ends_the_worker(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batcher.state, "should_stop", None)
    worker.overlaps = True
    worker.task.device_error = DeviceLost("the device failed: illegal memory access")
    worker.add(first := FakeRequest(8), second := FakeRequest(8))
    worker.step()
    assert first.ended == "given back"
    assert second.ended == "succeeded"
    assert batcher.state.should_stop == 1


def test_what_computes_is_finished_even_if_the_next_batch_breaks_everything(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker.overlaps = True
    first, second = FakeRequest(8), FakeRequest(8)
    begin = worker.batcher._begin

    def break_on_the_second(taken: Taken) -> Any:
        if second in taken.requests:
            raise RedisConnectionError("down, when the failure was to be told")
        return begin(taken)

    monkeypatch.setattr(worker.batcher, "_begin", break_on_the_second)
    worker.add(first, second)
    worker.step()
    assert first.ended == "succeeded"
    assert second.ended == ""  # neither acknowledged nor lost: it is delivered again
    worker.add(after := FakeRequest())
    worker.step()
    assert after.ended == "succeeded"


def test_a_defect_fails_every_task_and_tells_who_waits(worker: Worker) -> None:
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


def test_closing_gives_back_what_no_batch_took(worker: Worker) -> None:
    worker.add(waiting := FakeRequest())
    worker.batcher.close()
    assert waiting.ended == "given back"
    worker.step()  # the model's thread finds nothing left
    worker.add(late := FakeRequest())
    assert late.ended == "given back"
    assert worker.task.batches == []


def test_a_device_that_overlaps_has_the_next_batch_before_the_last_is_seen_to(
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


def test_a_batch_alone_is_finished_at_once_on_any_device(worker: Worker) -> None:
    worker.overlaps = True
    worker.add(FakeRequest())
    worker.step()
    assert worker.task.order == ["begin 1", "finish 1"]


def test_a_batch_that_fails_takes_no_other_with_it(worker: Worker) -> None:
    worker.overlaps = True
    worker.task.device_error = RuntimeError("of the device")
    first, second, third = (FakeRequest(8) for _ in range(3))
    worker.add(first, second, third)
    worker.step()
    assert [r.ended for r in (first, second, third)] == ["failed", "succeeded", "succeeded"]


def test_a_batch_that_can_not_begin_leaves_the_computing_one_alone(worker: Worker) -> None:
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


def test_where_memory_is_short_it_is_freed_between_batches_and_when_idle(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker.batcher.spare(True)  # nothing may ever come again while new work is refused
    worker.step()
    assert (worker.task.rested, worker.task.batches) == (1, [])
    worker.batcher.spare(True)
    assert not worker.submitted, "it was freed a moment ago"
    monkeypatch.setattr(batcher, "FREE_S", 0.0)
    worker.add(FakeRequest(1))
    worker.step()
    assert (worker.task.rested, worker.task.batches) == (2, [1])
    worker.batcher.spare(False)
    worker.add(FakeRequest(1))
    worker.step()
    assert worker.task.rested == 2


def test_what_goes_wrong_with_the_end_of_one_request_leaves_the_others_alone(
    worker: Worker,
) -> None:
    broken, others = FakeRequest(), [FakeRequest(), FakeRequest()]

    def fail(outcome: Any) -> None:
        raise ValueError("a result that can't be read")

    broken.on_success = fail  # type: ignore[method-assign]
    worker.add(broken, *others)
    run_all(worker)
    assert broken.ended == "given back"
    assert [other.ended for other in others] == ["succeeded", "succeeded"]


def test_orphans_that_wait_to_be_tried_alone_count_for_room(worker: Worker) -> None:
    worker.add(*(FakeRequest(4, orphaned=True) for _ in range(4)))
    assert not worker.batcher.has_room()
    assert worker.batcher.waiting == 16
