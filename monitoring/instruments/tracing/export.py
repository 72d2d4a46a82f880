"""Exports the spans of a process over OTLP/HTTP, as OpenTelemetry's own variables say.

These variables begin with ``OTEL_``, such as ``OTEL_EXPORTER_OTLP_ENDPOINT``.
"""

from __future__ import annotations

import os
import socket
from threading import Thread

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

#: Seconds that a process which stops takes to export its last spans, at most.
FLUSH_S = 2.0


def start(service: str) -> None:
    """Makes a thread export the spans of this process.

    Call this after a fork. ``service`` names the process, unless ``OTEL_SERVICE_NAME`` does.
    """
    provider = TracerProvider(resource=_resource(service))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)


def _resource(service: str) -> Resource:
    """Returns the attributes that describe this process in its spans.

    The attributes do not include the process's arguments, which may hold private data.
    """
    instance = {"service.instance.id": f"{socket.gethostname()}:{os.getpid()}"}
    found = Resource(instance).merge(Resource.create())
    if str(found.attributes["service.name"]).startswith("unknown_service"):
        found = found.merge(Resource({"service.name": service}))
    return found


def flush() -> None:
    """Exports the spans that wait. Returns after ``FLUSH_S`` seconds even if no collector answers.

    A process needs this only if it ends without Python's ``atexit``.
    """
    provider = trace.get_tracer_provider()
    if isinstance(provider, TracerProvider):
        thread = Thread(target=provider.force_flush, name="flush-spans", daemon=True)
        thread.start()
        thread.join(FLUSH_S)
