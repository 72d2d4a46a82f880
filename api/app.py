"""The Flask application: all but the attributions, which are in api.accelerator.asgi."""

from __future__ import annotations

from flask import Flask, Response, request
from flask_swagger_ui import get_swaggerui_blueprint

from api import console, errors, health, openapi
from celery_app.client.directory import Directory
from celery_app.settings import Settings

#: For what a browser shows. Swagger UI has a script and styles in its page.
PAGES = {
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


#: Parts and conditions: what is served is small, and whole.
_IGNORED = ("HTTP_RANGE", "HTTP_IF_RANGE", "HTTP_IF_MATCH", "HTTP_IF_UNMODIFIED_SINCE")


def create_app(directory: Directory, settings: Settings) -> Flask:
    """Return what is asked now and then: health, the model, the pages."""
    app = Flask("byline", static_folder=None)
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False  # it redirects to where the client says that this is
    app.register_blueprint(console.blueprint())
    app.register_blueprint(health.blueprint(directory))
    app.register_blueprint(openapi.blueprint(settings))
    app.register_blueprint(
        get_swaggerui_blueprint("/docs", "/openapi.json", config={"app_name": "Byline"})
    )
    errors.register(app)

    @app.before_request
    def ignore() -> None:
        for name in _IGNORED:
            request.environ.pop(name, None)

    @app.after_request
    def protect(response: Response) -> Response:
        for name, value in PAGES.items():
            response.headers.setdefault(name, value)  # the console has a stricter policy
        return response

    return app
