"""Exports the spans of a process over OTLP/HTTP.

OpenTelemetry's own environment variables configure the export. Their names begin with ``OTEL_``,
such as ``OTEL_EXPORTER_OTLP_ENDPOINT``.
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

#: Maximum number of seconds for which an ending process waits for the export of its last spans.
FLUSH_S = 2.0


def start(service: str) -> None:
    """Starts a thread that exports the spans of this process.

    If the process is a fork, call this function after the fork. ``service`` is the service name in
    the spans, unless the variable ``OTEL_SERVICE_NAME`` is set.
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
    """Exports the spans not exported yet. Returns after ``FLUSH_S`` seconds at the latest.

    Only a process that ends without running Python's ``atexit`` functions has to call this.
    """
    provider = trace.get_tracer_provider()
    if isinstance(provider, TracerProvider):
        thread = Thread(target=provider.force_flush, name="flush-spans", daemon=True)
        thread.start()
        thread.join(FLUSH_S)
