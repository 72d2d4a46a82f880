"""Traces: OpenTelemetry spans that show where each message spends its time. Off by default.

Only :func:`start` imports OpenTelemetry. Other code makes spans only if :data:`tracer` is not None,
so each such place costs one comparison while tracing is off.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from monitoring.instruments.tracing.span_tracer import SpanTracer

#: Packages that make and export spans. A parent package stands before its subpackages.
PACKAGES = (
    *("opentelemetry", "opentelemetry.sdk", "opentelemetry.exporter"),
    "opentelemetry.exporter.otlp.proto.http",
)

#: Makes the spans of this process; None while tracing is off.
tracer: SpanTracer | None = None


def is_installed() -> bool:
    """Returns whether the packages of the extra ``otel`` are installed."""
    try:
        return all(find_spec(package) for package in PACKAGES)
    except ModuleNotFoundError:
        return False


def start(service: str | None = None) -> SpanTracer:
    """Returns the tracer of this process. The first call turns tracing on.

    The spans are exported with ``service`` as OpenTelemetry's service name. If ``service`` is None,
    the spans go to the program's tracer provider. Later calls ignore ``service``.
    """
    global tracer  # noqa: PLW0603  # the state of the process
    if tracer is None:
        from monitoring.instruments.tracing import export, span_tracer  # noqa: PLC0415

        if service is not None:
            export.start(service)
        tracer = span_tracer.of_process()
    return tracer


def trace_flask(app: Any, service: str) -> None:
    """Turns tracing on, and makes a span of each request to Flask with a path below ``/v1/``.

    ``service`` is OpenTelemetry's service name.
    """
    start(service)
    from monitoring.instruments.tracing.wsgi import traced  # noqa: PLC0415

    app.wsgi_app = traced(app.wsgi_app)
