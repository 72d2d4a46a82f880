"""Makes the spans of HTTP requests, and of steps that work for several requests at once.

A step's span links to the sampled (recorded) spans of its requests. No span holds the text of a
message or of an error.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Literal

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

Kind = Literal["client", "consumer", "internal", "producer"]
Attributes = Mapping[str, str | int]

#: Largest number of links of a span. OpenTelemetry's own limit is the same.
MAX_LINKS = 128
#: HTTP methods that a span may name. Other methods are not named: a client may send any word.
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"))
_FIELD = "traceparent"
_propagator = TraceContextTextMapPropagator()


class SpanTracer:
    """Makes the spans of one process. Any thread may use it."""

    def __init__(self, tracer: trace.Tracer) -> None:
        self._tracer = tracer

    def start_request(self, method: str, traceparent: str | None) -> Span:
        """Starts and returns the span of an HTTP request.

        ``traceparent`` is the value of the header ``traceparent``. The span belongs to the trace
        that the header names. If there is no valid header, the span begins a new trace.
        """
        name = method if method in METHODS else "HTTP"
        return self._tracer.start_span(name, _context(parse(traceparent)), SpanKind.SERVER)

    def end_request(
        self, span: Span, method: str, route: str, status: int, request_id: str
    ) -> None:
        """Ends the span of a request that was answered with the HTTP status ``status``.

        ``route`` is the pattern of the path, such as ``/v1/attributions/{id}``; empty if the path
        has no route.
        """
        known = method in METHODS
        span.update_name(f"{method if known else 'HTTP'} {route}".strip())
        span.set_attribute("http.request.method", method if known else "_OTHER")
        span.set_attribute("http.response.status_code", status)
        span.set_attribute("byline.request_id", request_id)
        if route:
            span.set_attribute("http.route", route)
        if status >= 500:
            fail(span, str(status))
        span.end()

    def use(self, span: Span) -> AbstractContextManager[Span]:
        """Makes ``span`` the current span within a ``with`` block."""
        return trace.use_span(span, record_exception=False, set_status_on_exception=False)

    def parse(self, header: object) -> SpanContext | None:
        """Returns the context of the span that a header ``traceparent`` names; None if invalid."""
        return parse(header)

    def parse_all(self, headers: Iterable[object]) -> list[SpanContext]:
        """Returns the context of the span that each of the ``traceparent`` headers names.

        Skips invalid headers. Leaves out duplicates.
        """
        return distinct(found for header in headers if (found := parse(header)) is not None)

    def fail(self, span: Span, error: BaseException) -> None:
        """Marks a span as failed. Records the class of ``error``.

        The words of ``error`` are not recorded, because they may quote the text of a message.
        """
        fail(span, type(error).__name__)

    def headers_of(self, spans: Iterable[Span | None]) -> list[str]:
        """Returns a list of values of the header ``traceparent``, one for each sampled span.

        The list has no duplicates, and at most :data:`MAX_LINKS` values.
        """
        contexts = distinct(span.get_span_context() for span in spans if span is not None)
        return [written(each) for each in contexts if each.trace_flags.sampled][:MAX_LINKS]

    def header_of(self, span: Span) -> str:
        """Returns the header ``traceparent`` that names ``span``; empty if the span is invalid."""
        return written(span.get_span_context())

    def current(self) -> Span:
        """Returns the current span of this thread or coroutine; an invalid span if none."""
        return trace.get_current_span()

    def start(
        self,
        name: str,
        kind: Kind,
        contexts: Sequence[SpanContext],
        attributes: Attributes,
        at: float | None = None,
    ) -> Span:
        """Starts the span of a step for several requests.

        The first sampled (recorded) span of ``contexts`` becomes the parent. If no span is sampled,
        the first span becomes the parent. The new span links to the first :data:`MAX_LINKS` sampled
        spans. ``at`` is the monotonic time of the start, in seconds; None means now.
        """
        sampled = [each for each in contexts if each.trace_flags.sampled]
        # A span can have only one parent, so the other requests' spans are linked.
        parent = next(iter(sampled or contexts), None)
        links = [Link(each) for each in sampled[:MAX_LINKS]]
        return self._tracer.start_span(
            name,
            _context(parent),
            SpanKind[kind.upper()],
            attributes,
            links,
            start_time=None if at is None else _nanoseconds(at),
        )

    def record(
        self,
        name: str,
        parent: SpanContext,
        began: float,
        ended: float,
        attributes: Attributes,
        leads_to: Span | None = None,
    ) -> None:
        """Makes the span of a step that has already ended, as a child of ``parent``.

        ``began`` and ``ended`` are monotonic times in seconds. The new span links to ``leads_to``,
        unless ``leads_to`` is None.
        """
        span = self._tracer.start_span(
            name,
            _context(parent),
            attributes=attributes,
            links=[] if leads_to is None else [Link(leads_to.get_span_context())],
            start_time=_nanoseconds(began),
        )
        span.end(_nanoseconds(ended))

    @contextmanager
    def step(
        self, name: str, kind: Kind, spans: Iterable[Span | None], attributes: Attributes
    ) -> Iterator[Span]:
        """Makes the span of a step for several requests. The ``with`` block is the step.

        The new span links to the sampled (recorded) spans among ``spans``. If one of these belongs
        to another trace than the new span, it also links back to the new span.
        """
        working = list({id(span): span for span in spans if span is not None}.values())
        contexts = distinct(span.get_span_context() for span in working)
        step = self.start(name, kind, contexts, attributes)
        # With links in both directions, a reader of either trace finds the other trace.
        for span in working:
            if span.get_span_context().trace_id != step.get_span_context().trace_id:
                link(span, step)
        try:
            yield step
        except Exception as error:
            fail(step, type(error).__name__)
            raise
        finally:
            step.end()


def of_process() -> SpanTracer:
    """Returns a tracer whose spans go to the process's tracer provider."""
    return SpanTracer(trace.get_tracer("byline"))


def link(span: Span, other: Span) -> None:
    """Makes ``span`` link to ``other``, if ``span`` is recorded and has not ended."""
    if span.is_recording():
        span.add_link(other.get_span_context())


def distinct(contexts: Iterable[SpanContext]) -> list[SpanContext]:
    """Returns the valid span contexts of ``contexts`` in their order, without duplicates."""
    valid = (each for each in contexts if each.is_valid)
    return list({(each.trace_id, each.span_id): each for each in valid}.values())


def parse(traceparent: object) -> SpanContext | None:
    """Returns the context of the span that a header ``traceparent`` names; None if invalid."""
    if not isinstance(traceparent, str):
        return None
    context = _propagator.extract({_FIELD: traceparent}, Context())
    found = trace.get_current_span(context).get_span_context()
    return found if found.is_valid else None


def written(context: SpanContext) -> str:
    """Returns the header ``traceparent`` for a span's context; empty if ``context`` is invalid."""
    carrier: dict[str, str] = {}
    _propagator.inject(carrier, set_span_in_context(NonRecordingSpan(context), Context()))
    return carrier.get(_FIELD, "")


def fail(span: Span, kind: str) -> None:
    """Marks a span as failed. ``kind`` is the class of the error, or the HTTP status."""
    span.set_attribute("error.type", kind)
    span.set_status(StatusCode.ERROR)


def _context(parent: SpanContext | None) -> Context:
    """Returns the OpenTelemetry context in which a new span is a child of ``parent``.

    If ``parent`` is None, the new span begins a new trace. The current span has no effect.
    """
    return Context() if parent is None else set_span_in_context(NonRecordingSpan(parent), Context())


def _nanoseconds(monotonic: float) -> int:
    """Converts a monotonic time in seconds to Unix time in nanoseconds."""
    return time.time_ns() - int((time.monotonic() - monotonic) * 1e9)
