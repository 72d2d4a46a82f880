"""``/healthz`` and ``/readyz``: is the process alive, and can it answer?"""

from __future__ import annotations

from flask import Blueprint, Response

from api.http_response import json_response
from api.runtime import Runtime
from api.schemas import Health


def blueprint(runtime: Runtime) -> Blueprint:
    """Return the endpoints."""
    routes = Blueprint("health", __name__)

    @routes.get("/healthz")
    def alive() -> Response:
        return json_response(Health("ok", {"api": "ok"})).response()

    @routes.get("/readyz")
    def ready() -> Response:
        parts = runtime.services.client.model_registry.parts()
        # Without the cache, messages are computed all the same.
        well = all(state == "ok" for name, state in parts.items() if name != "cache")
        health = Health("ok" if well else "unavailable", parts)
        return json_response(health, 200 if well else 503).response()

    return routes
