"""WSGI middleware that makes a span of each request whose path begins with ``/v1/``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from monitoring.instruments import tracing

WSGI = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

#: Requests with other paths make no spans. Those are frequent health checks, and requests for web
#: pages and their files.
PREFIX = "/v1/"


def traced(application: WSGI) -> WSGI:
    """Returns a WSGI application that calls ``application``, and makes spans.

    Each request whose path begins with ``/v1/`` gets a span.
    """
    tracer = tracing.start()

    def respond(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if not environ["PATH_INFO"].startswith(PREFIX):
            return application(environ, start_response)
        status, request_id, route = 500, "", ""

        def start(line: str, headers: list[tuple[str, str]], *error: Any) -> Any:
            nonlocal status, request_id, route
            status, request_id = int(line[:3]), dict(headers).get("X-Request-ID", "")
            route = _route(environ)
            return start_response(line, headers, *error)

        method = environ["REQUEST_METHOD"]
        span = tracer.start_request(method, environ.get("HTTP_TRACEPARENT"))
        try:
            with tracer.use(span):
                return application(environ, start)
        finally:
            # Every response is written as a whole, so the request has ended.
            tracer.end_request(span, method, route, status, request_id)

    return respond


def _route(environ: dict[str, Any]) -> str:
    """Returns the route that Flask has found, such as ``/v1/attributions/{id}``; empty if none.

    The caller has to call this function before the response ends. At the end of the response,
    Flask forgets the request.
    """
    rule = getattr(environ.get("werkzeug.request"), "url_rule", None)
    return "" if rule is None else str(rule.rule).replace("<", "{").replace(">", "}")
