"""Makes the tracing spans of a batch: wait in the queue, cache lookup, forward pass, storing.

The spans are made when the batch has ended, from times that the worker measures anyway. No code
calls this module while tracing is off.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tasks.messages import LARGEST_TASK, LONGEST_WAIT_S, TRACED_REQUESTS, TRACEPARENT, Attribution

if TYPE_CHECKING:
    from opentelemetry.trace import Span, SpanContext

    from celery_app.worker.batch_runner import Batch
    from monitoring.instruments.tracing.span_tracer import Attributes, SpanTracer
    from tasks.batch.in_flight import InFlightBatch
    from tasks.chunk_request import ChunkRequest

logger = logging.getLogger(__name__)


def record(tracer: SpanTracer, batch: Batch) -> None:
    """Makes the spans of a batch whose results are stored."""
    with _guarded():
        _record(tracer, batch)


def record_failure(
    tracer: SpanTracer, requests: Sequence[ChunkRequest], started: float, error: Exception
) -> None:
    """Makes the span of a batch that raised an error.

    ``started`` is the monotonic time at which the batch was begun, in seconds.
    """
    with _guarded():
        span = tracer.start("batch", "consumer", _contexts(tracer, requests), {}, started)
        tracer.fail(span, error)
        span.end()


@contextmanager
def _guarded() -> Iterator[None]:
    """Catches and logs any error of the ``with`` block, so that tracing fails no message."""
    try:
        yield
    except Exception:
        logger.exception("the spans of a batch could not be made")


def _record(tracer: SpanTracer, batch: Batch) -> None:
    requests = [request for request in batch.live if request.chunk is not None]
    if not requests:
        return
    found = batch.in_flight
    attributes: Attributes = {
        "messaging.system": "celery",
        "messaging.operation.type": "process",
        "messaging.batch.message_count": len(requests),
        "byline.messages": sum(map(len, found.admitted)),
        "byline.worker": str(requests[0].hostname),
    }
    contexts = _contexts(tracer, requests)
    span = tracer.start("batch", "consumer", contexts, attributes, batch.started)
    _record_waits(tracer, batch, requests, span)
    _record_steps(tracer, found, span.get_span_context(), time.monotonic())
    span.end()


def _record_steps(
    tracer: SpanTracer, batch: InFlightBatch, parent: SpanContext, ended: float
) -> None:
    """Makes the spans of a batch's steps: the cache lookup, the forward pass and the storing.

    ``parent`` is the batch's span. ``ended`` is the monotonic time at which the storing ended, in
    seconds.
    """
    messages, known_at = sum(map(len, batch.admitted)), batch.looked_up_at + batch.cache_s
    lookup: Attributes = {"byline.messages": messages, "byline.found": len(batch.cached)}
    tracer.record("cache lookup", parent, batch.looked_up_at, known_at, lookup)
    if batch.computed:
        computed: Attributes = {
            "byline.messages": len(batch.computed),
            "byline.version": _version(batch),
        }
        tracer.record("forward pass", parent, known_at, batch.computed_at, computed)
    tracer.record("store", parent, batch.computed_at, ended, {})


def _record_waits(
    tracer: SpanTracer, batch: Batch, requests: Sequence[ChunkRequest], span: Span
) -> None:
    """Makes a span for each task's wait in the queue, and links each span to the batch's span.

    The parent of each new span is the span in which the task was sent. A task without this parent
    or without the time of sending gets no span.
    """
    started = time.time() - (time.monotonic() - batch.started)
    for request, chunk in zip(requests, batch.in_flight.chunks, strict=True):
        parent = tracer.parse(request.request_dict.get(TRACEPARENT))
        if parent is None or chunk.sent_at is None:
            continue
        wait_s = min(max(0.0, started - chunk.sent_at), LONGEST_WAIT_S)
        attributes: Attributes = {
            "messaging.message.id": chunk.id,
            "byline.messages": len(chunk.texts),
        }
        began = batch.started - wait_s
        tracer.record("queue", parent, began, batch.started, attributes, span)


def _version(batch: InFlightBatch) -> str:
    """Returns the version of the model that computed a batch; empty if every message failed."""
    outcomes = batch.computed.values()
    return next((each.model for each in outcomes if isinstance(each, Attribution)), "")


def _contexts(tracer: SpanTracer, requests: Sequence[ChunkRequest]) -> list[SpanContext]:
    """Returns the span contexts that the headers of the tasks contain.

    First come the spans in which the tasks were sent, then the spans of the HTTP requests. Leaves
    out invalid values, because any client can send any header.
    """
    headers = [request.request_dict for request in requests]
    senders = [header.get(TRACEPARENT) for header in headers]
    return tracer.parse_all([*senders, *(each for header in headers for each in _listed(header))])


def _listed(header: dict[str, Any]) -> Iterator[Any]:
    traced = header.get(TRACED_REQUESTS)
    if isinstance(traced, list) and len(traced) <= LARGEST_TASK:
        yield from traced
