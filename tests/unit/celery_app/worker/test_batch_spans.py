"""The spans of batches that fail, of tasks that need several batches, and of odd headers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from opentelemetry.trace import StatusCode

from tasks.messages import LONGEST_WAIT_S, TRACED_REQUESTS, TRACEPARENT
from tests.traces.in_memory import Memory, context_of, in_memory, links_of
from tests.unit.celery_app.worker.fakes import FakeRequest, Worker

TRACE, SENDER, ASKER = 0xABC, 0xDEF, 0x123


@pytest.fixture
def memory() -> Iterator[Memory]:
    with in_memory() as memory:
        yield memory


def header(span: int) -> str:
    return f"00-{TRACE:032x}-{span:016x}-01"


def traced(messages: int = 1, sent_at: float | None = None) -> FakeRequest:
    """Returns a request that a span has sent, for another span."""
    request = FakeRequest(messages)
    request.request_dict = {TRACEPARENT: header(SENDER), TRACED_REQUESTS: [header(ASKER)]}
    request.chunk = msgspec.structs.replace(request.chunk, sent_at=sent_at or time.time())
    return request


def run(worker: Worker, *requests: FakeRequest) -> None:
    worker.add(*requests)
    worker.run_all()


@pytest.mark.parametrize("where", ["error", "device_error"])
def test_a_batch_that_fails_has_a_span_with_the_class_of_the_error(
    worker: Worker, memory: Memory, where: str
) -> None:
    setattr(worker.task, where, KeyError("a text"))
    run(worker, request := traced())
    assert request.ended == "failed"
    [span] = memory.spans
    assert (span.name, span.status.status_code) == ("batch", StatusCode.ERROR)
    assert span.attributes == {"error.type": "KeyError"}
    assert links_of(span) == {SENDER, ASKER}
    assert "a text" not in span.to_json()


def test_each_pass_of_a_large_task_is_a_batch_and_the_wait_is_measured_once(
    worker: Worker, memory: Memory
) -> None:
    run(worker, request := traced(20))
    assert request.ended == "succeeded"
    batches = [span for span in memory.spans if span.name == "batch"]
    assert [(span.attributes or {})["byline.worker"] for span in batches] == ["byline@fake"] * 3
    queue = memory.one("queue")
    assert links_of(queue) == {context_of(batches[0]).span_id}
    assert queue.parent is not None
    assert queue.parent.span_id == SENDER


@pytest.mark.parametrize(("sent_ago", "wait_s"), [(-60.0, 0.0), (1e9, LONGEST_WAIT_S)])
def test_a_wait_that_can_not_be_is_bounded(
    worker: Worker, memory: Memory, sent_ago: float, wait_s: float
) -> None:
    run(worker, traced(sent_at=time.time() - sent_ago))
    span = memory.one("queue")
    assert span.end_time is not None
    assert span.start_time is not None
    assert (span.end_time - span.start_time) / 1e9 == pytest.approx(wait_s, abs=0.01)


@pytest.mark.parametrize("odd", [None, 7, "nonsense", b"\xff", [], ["x", 7, None, {}], {"a": 1}])
def test_a_header_that_is_not_valid_is_left_out(worker: Worker, memory: Memory, odd: Any) -> None:
    request = FakeRequest()
    request.request_dict = {TRACEPARENT: odd, TRACED_REQUESTS: odd}
    run(worker, request)
    assert request.ended == "succeeded"
    batch = memory.one("batch")
    assert batch.parent is None
    assert not batch.links


def test_a_revoked_task_makes_no_span(worker: Worker, memory: Memory) -> None:
    run(worker, FakeRequest(revoked=True))
    assert memory.spans == []


def test_a_defect_of_tracing_fails_no_message(
    worker: Worker, memory: Memory, monkeypatch: pytest.MonkeyPatch, logged: Callable[[], str]
) -> None:
    monkeypatch.delattr(type(memory.tracer), "start")
    run(worker, request := traced())
    assert request.ended == "succeeded"
    assert "the spans of a batch could not be made" in logged()
