"""Makes tracing spans for cache lookups and sent chunks, and adds counts to the spans of requests.

No code calls this module while tracing is off. See :mod:`monitoring.instruments.tracing`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

from celery_app.client.entry import Entry
from tasks.messages import TRACED_REQUESTS, TRACEPARENT
from tasks.rollout import queue_of

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from monitoring.instruments.tracing.span_tracer import Attributes, SpanTracer


def note_messages(entries: Sequence[Entry], joined: Sequence[Entry]) -> None:
    """Records in a request's span how many messages the request has, and how many are not sent.

    A message is not sent if its outcome is known, or if an equal message is in progress. In the
    second case, the span gets a link to the span of the earlier request. ``joined`` holds the
    entries that the request waits for.
    """
    if not entries or (span := entries[0].span) is None:
        return
    others = [found for entry, found in zip(entries, joined, strict=True) if found is not entry]
    known = sum(entry.done.is_set() for entry in joined)
    span.set_attributes(
        {"byline.messages": len(entries), "byline.known": known, "byline.joined": len(others)}
    )
    if len(entries) == 1:
        span.set_attribute("byline.message_id", entries[0].id)
    if span.is_recording():
        for other in {id(found.span): found.span for found in others if found.span}.values():
            span.add_link(other.get_span_context())


def looking_up(tracer: SpanTracer, entries: Sequence[Entry]) -> AbstractContextManager[Span]:
    """Returns a context manager: the span of the lookup of ``entries`` in the result cache."""
    attributes = {"byline.messages": len(entries)}
    return tracer.step("cache lookup", "client", [entry.span for entry in entries], attributes)


@contextmanager
def enqueueing(
    tracer: SpanTracer, chunk_id: str, entries: Sequence[Entry]
) -> Iterator[dict[str, Any]]:
    """Makes a span around the ``with`` block, which sends a chunk.

    Yields headers for the Celery task. The headers name this span and the requests' spans, so that
    the worker's spans can have links to them.
    """
    attributes: Attributes = {
        "messaging.system": "celery",
        "messaging.operation.type": "send",
        "messaging.destination.name": queue_of(entries[0].version),
        "messaging.message.id": chunk_id,
        "byline.messages": len(entries),
        "byline.version": entries[0].version,
    }
    spans = [entry.span for entry in entries]
    with tracer.step("enqueue", "producer", spans, attributes) as span:
        headers = {TRACEPARENT: tracer.header_of(span), TRACED_REQUESTS: tracer.headers_of(spans)}
        yield {name: value for name, value in headers.items() if value}
