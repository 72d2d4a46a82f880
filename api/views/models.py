"""Flask route of ``/v1/models``: which model versions are served, and by how many workers each."""

from __future__ import annotations

from flask import Blueprint, Response, request

from api.http_response import json_response
from api.requests.query import parse_query
from api.runtime import Runtime
from api.schemas import ModelInfo, VersionInfo
from tasks.errors import BrokerUnavailable


def blueprint(runtime: Runtime) -> Blueprint:
    """Returns the Flask blueprint of ``/v1/models``."""
    routes = Blueprint("models", __name__)

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

    return routes
