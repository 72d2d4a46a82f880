"""Builds the Flask application: routes, authentication, limits, error handling and metrics."""

from __future__ import annotations

import os
import time

from flask import Flask, Request, Response, g, request
from flask_swagger_ui import get_swaggerui_blueprint
from werkzeug.routing import MapAdapter

from api import console, errors, openapi
from api.access.auth import Authentication
from api.request_metrics import route_of
from api.requests.request_ids import REQUEST_ID, request_id_of
from api.runtime import Runtime
from api.views import attributions, feedback, status
from celery_app.settings import Settings
from monitoring.instruments import request_ids, tracing

#: Flask endpoints that need no API key. All other paths need a key, even paths without a route.
PUBLIC_ENDPOINTS = {
    *("status.alive", "status.ready", "openapi.openapi"),
    *("console.page", "console.file", "console.runbook", "swagger_ui.show"),
}
#: Headers of pages for browsers. Swagger UI needs `unsafe-inline` for a script and styles.
PAGE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
#: Request headers that the API ignores: responses are small and always sent whole.
_IGNORED_HEADERS = ("HTTP_RANGE", "HTTP_IF_RANGE", "HTTP_IF_MATCH", "HTTP_IF_UNMODIFIED_SINCE")


class Application(Flask):
    """A Flask application that finds routes by URL path and method, and not by ``Host``."""

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Returns an object that finds the route of ``request`` and ignores the header ``Host``."""
        if request is None:
            return super().create_url_adapter(None)
        return self.url_map.bind("localhost", default_method=request.method, path_info=request.path)


def create_app(runtime: Runtime | None = None) -> Flask:
    """Returns Byline's Flask application. Does not connect to Redis yet.

    If ``runtime`` is None, the settings come from the environment variables.

    Raises:
        SettingsError: a setting or the keys file is invalid.
    """
    runtime = runtime or Runtime(Settings.from_environ(os.environ))
    app = Application("byline", static_folder=None)
    # One byte above the limit shows Flask that a body of unknown length is too large.
    app.config["MAX_CONTENT_LENGTH"] = runtime.settings.max_body_bytes + 1
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.extensions["byline"] = runtime
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False  # to merge, Flask would redirect to localhost
    for view in (attributions, feedback, status):
        app.register_blueprint(view.blueprint(runtime))
    app.register_blueprint(console.blueprint())
    app.register_blueprint(openapi.blueprint(runtime.settings))
    app.register_blueprint(
        get_swaggerui_blueprint("/docs", "/openapi.json", config={"app_name": "Byline"})
    )
    errors.register(app, runtime.settings, runtime.wait_s)
    _register_request_checks(app, runtime)
    _register_response_hooks(app, runtime)
    if runtime.settings.tracing == "on":
        tracing.trace_flask(app, "byline-api")
    return app


def _register_request_checks(app: Flask, runtime: Runtime) -> None:
    """Makes Flask check every request before the body is read and the view is called."""
    authentication = Authentication(runtime.settings, runtime.keys)

    @app.before_request
    def check_request() -> None:
        g.start_time = time.perf_counter()
        g.request_id = request_id_of(request.headers.get(REQUEST_ID))
        request_ids.set_present(g.request_id)
        runtime.ensure_started()
        for name in _IGNORED_HEADERS:
            request.environ.pop(name, None)
        headers = request.headers
        authentication.check_origin(headers.get("Host"), headers.get("Origin"))
        if request.endpoint not in PUBLIC_ENDPOINTS:
            g.key = authentication.key_of(headers.get("Authorization", ""))

    @app.teardown_request
    def forget_request_id(_: BaseException | None) -> None:
        request_ids.set_present("")  # the thread serves another request next


def _register_response_hooks(app: Flask, runtime: Runtime) -> None:
    """Makes Flask add headers to every response, and count the request in the metrics."""

    @app.after_request
    def add_headers(response: Response) -> Response:
        response.headers[REQUEST_ID] = g.request_id
        if not response.headers.get("Content-Type", "").startswith("application/"):
            for name, value in PAGE_HEADERS.items():
                response.headers.setdefault(name, value)  # the console sets its own policy
        return response

    @app.after_request
    def count(response: Response) -> Response:
        if not runtime.started:  # the start failed; the log has the error
            return response
        route = route_of(request.url_rule.rule if request.url_rule else None)
        status = getattr(response, "metrics_status", "") or response.status_code
        seconds = time.perf_counter() - g.start_time
        runtime.services.metrics.count(route, status, [seconds])
        return response
