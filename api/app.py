"""The Flask application."""

from __future__ import annotations

from flask import Flask
from flask_swagger_ui import get_swaggerui_blueprint

from api import errors, health, openapi, routes
from api.routes import Services


def create_app(services: Services) -> Flask:
    """Return the api, working with ``services``."""
    app = Flask("byline", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = services.settings.max_body_bytes
    app.url_map.strict_slashes = False
    app.register_blueprint(routes.blueprint(services))
    app.register_blueprint(health.blueprint(services.directory))
    app.register_blueprint(openapi.blueprint())
    app.register_blueprint(
        get_swaggerui_blueprint("/docs", "/openapi.json", config={"app_name": "Byline"})
    )
    errors.register(app)
    return app
