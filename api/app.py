"""The Flask application: all but the busiest endpoint, which is in api.asgi."""

from __future__ import annotations

from flask import Flask
from flask_swagger_ui import get_swaggerui_blueprint

from api import errors, health, openapi, routes
from api.attributions import Attributions
from api.directory import Directory


def create_app(attributions: Attributions, directory: Directory) -> Flask:
    """Return the api, serving ``attributions``."""
    app = Flask("byline", static_folder=None)
    app.url_map.strict_slashes = False
    app.register_blueprint(routes.blueprint(attributions))
    app.register_blueprint(health.blueprint(directory))
    app.register_blueprint(openapi.blueprint())
    app.register_blueprint(
        get_swaggerui_blueprint("/docs", "/openapi.json", config={"app_name": "Byline"})
    )
    errors.register(app)
    return app
