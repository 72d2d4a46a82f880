"""The Flask application."""

from __future__ import annotations

from flask import Flask
from flask_swagger_ui import get_swaggerui_blueprint

from api import errors, health, openapi, routes
from api.attributions import Attributions
from api.directory import Directory
from celery_app.settings import Settings


def create_app(settings: Settings, attributions: Attributions, directory: Directory) -> Flask:
    """Return the api, serving ``attributions``."""
    app = Flask("byline", static_folder=None)
    app.url_map.strict_slashes = False
    app.register_blueprint(routes.blueprint(attributions, settings.max_body_bytes))
    app.register_blueprint(health.blueprint(directory))
    app.register_blueprint(openapi.blueprint())
    app.register_blueprint(
        get_swaggerui_blueprint("/docs", "/openapi.json", config={"app_name": "Byline"})
    )
    errors.register(app)
    express = routes.express(app.wsgi_app, attributions, settings.max_body_bytes)
    app.wsgi_app = express  # type: ignore[assignment,method-assign]
    return app
