"""Flask routes that show the state of Byline: health, the models that it serves, and figures."""

from __future__ import annotations

from flask import Blueprint, Response, request

from api.http_response import json_response
from api.requests.query import parse_query
from api.runtime import Runtime
from api.schemas import Health, ModelInfo, VersionInfo
from tasks.errors import BrokerUnavailable


def blueprint(runtime: Runtime) -> Blueprint:
    """Returns the blueprint of ``/healthz``, ``/readyz``, ``/v1/models`` and ``/v1/figures``."""
    routes = Blueprint("status", __name__)

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

    @routes.get("/v1/models")
    def models() -> Response:
        parse_query(request.query_string, ())
        model_registry = runtime.services.client.model_registry
        announcement, workers = model_registry.current(), model_registry.workers()
        if workers is None:
            raise BrokerUnavailable("the broker can't be reached")
        versions = [
            VersionInfo(version, model_registry.workers_of(version), round(share, 6))
            for version, share in model_registry.versions().items()
        ]
        info = ModelInfo(announcement.card, announcement.device, workers, versions)
        return json_response(info).to_flask()

    @routes.get("/v1/figures")
    def figures() -> Response:
        return runtime.run(runtime.services.figures.read(request.query_string)).to_flask()

    return routes
