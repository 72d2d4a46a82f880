"""The Flask application: every route, who may ask, limits, errors, and what is counted."""

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
from api.views import attributions, feedback, figures, health, models
from celery_app.settings import Settings
from monitoring.instruments import request_ids

#: Endpoints that need no key where there are keys. All others do, and so does a path that is none.
OPEN = frozenset(
    (
        *("health.alive", "health.ready", "openapi.openapi"),
        *("console.page", "console.file", "swagger_ui.show"),
    )
)
#: Headers for what a browser shows. Swagger UI has a script and styles in its page.
PAGES = {
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
#: Parts and conditions, which are ignored: what is served is small, and whole.
_IGNORED = ("HTTP_RANGE", "HTTP_IF_RANGE", "HTTP_IF_MATCH", "HTTP_IF_UNMODIFIED_SINCE")


class Application(Flask):
    """Flask, which finds a route by the path alone: ``Host`` is checked before, and may be odd."""

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Part of Flask."""
        if request is None:
            return super().create_url_adapter(None)
        return self.url_map.bind("localhost", default_method=request.method, path_info=request.path)


def create_app(runtime: Runtime | None = None) -> Flask:
    """Return the application. It connects to nothing before its first request.

    ``runtime`` is what it answers with; None: one with the settings of the environment, on an
    event loop of its own.

    Raises:
        SettingsError: a setting or the keys file is bad.
    """
    runtime = runtime or Runtime(Settings.from_environ(os.environ))
    app = Application("byline", static_folder=None)
    # A byte more: that far a body of unknown length is read, so that it shows as too large.
    app.config["MAX_CONTENT_LENGTH"] = runtime.settings.max_body_bytes + 1
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.extensions["byline"] = runtime
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False  # it redirects to where the client says that this is
    for view in (attributions, feedback, figures, health, models):
        app.register_blueprint(view.blueprint(runtime))
    app.register_blueprint(console.blueprint())
    app.register_blueprint(openapi.blueprint(runtime.settings))
    app.register_blueprint(
        get_swaggerui_blueprint("/docs", "/openapi.json", config={"app_name": "Byline"})
    )
    errors.register(app, runtime.settings, runtime.wait_s)
    _admit(app, runtime)
    _finish(app, runtime)
    return app


def _admit(app: Flask, runtime: Runtime) -> None:
    """Have every request checked before its view sees it, and before its body is read."""
    authentication = Authentication(runtime.settings, runtime.keys)

    @app.before_request
    def admit() -> None:
        g.began = time.perf_counter()
        g.request_id = request_id_of(request.headers.get(REQUEST_ID))
        request_ids.set_present(g.request_id)
        runtime.ensure_started()
        for name in _IGNORED:
            request.environ.pop(name, None)
        headers = request.headers
        authentication.check_origin(headers.get("Host"), headers.get("Origin"))
        if request.endpoint not in OPEN:
            g.key = authentication.key_of(headers.get("Authorization", ""))

    @app.teardown_request
    def forget(_: BaseException | None) -> None:
        request_ids.set_present("")  # the thread goes on to others


def _finish(app: Flask, runtime: Runtime) -> None:
    """Have every response protected, and counted."""

    @app.after_request
    def protect(response: Response) -> Response:
        response.headers[REQUEST_ID] = g.request_id
        if not response.headers.get("Content-Type", "").startswith("application/"):
            for name, value in PAGES.items():
                response.headers.setdefault(name, value)  # the console has a stricter policy
        return response

    @app.after_request
    def count(response: Response) -> Response:
        if not runtime.started:  # it failed to: the log says why
            return response
        route = route_of(request.url_rule.rule if request.url_rule else None)
        status = getattr(response, "counted", "") or response.status_code
        seconds = time.perf_counter() - g.began
        runtime.services.metrics.count(route, status, [seconds])
        return response
