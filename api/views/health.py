"""Flask routes ``/healthz`` (the process is alive) and ``/readyz`` (the process can attribute)."""

from __future__ import annotations

from flask import Blueprint, Response

from api.http_response import json_response
from api.runtime import Runtime
from api.schemas import Health


def blueprint(runtime: Runtime) -> Blueprint:
    """Returns the Flask blueprint of ``/healthz`` and ``/readyz``."""
    routes = Blueprint("health", __name__)

    @routes.get("/healthz")
    def alive() -> Response:
        return json_response(Health("ok", {"api": "ok"})).to_flask()

    @routes.get("/readyz")
    def ready() -> Response:
        parts = runtime.services.client.model_registry.parts()
        # Without the cache, workers still compute attributions.
        healthy = all(state == "ok" for name, state in parts.items() if name != "cache")
        health = Health("ok" if healthy else "unavailable", parts)
        return json_response(health, 200 if healthy else 503).to_flask()

    return routes
