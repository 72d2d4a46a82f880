"""Turns tracing on within a test, with spans that stay in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanContext

from monitoring.instruments import tracing
from monitoring.instruments.tracing.span_tracer import SpanTracer


class Memory:
    """The spans that have ended, and the tracer that makes them."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracer = SpanTracer(provider.get_tracer("test"))

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self._exporter.get_finished_spans())

    def one(self, name: str) -> ReadableSpan:
        """Return the only span of a name."""
        [span] = [span for span in self.spans if span.name == name]
        return span


@contextmanager
def in_memory() -> Iterator[Memory]:
    """Yields the memory of the spans that are made within the ``with`` block."""
    memory, before = Memory(), tracing.tracer
    tracing.tracer = memory.tracer
    try:
        yield memory
    finally:
        tracing.tracer = before


def context_of(span: ReadableSpan) -> SpanContext:
    context = span.get_span_context()
    assert context is not None
    return context


def links_of(span: ReadableSpan) -> set[int]:
    """Returns the ids of the spans that a span links to."""
    return {link.context.span_id for link in span.links}
