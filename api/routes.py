"""``GET /v1/attributions/{id}``, in Flask. To post one is the busiest endpoint: see api.asgi."""

from __future__ import annotations

from flask import Blueprint, Response, request

from api.attributions import PATH, Attributions


def blueprint(attributions: Attributions) -> Blueprint:
    """Return the endpoint."""
    routes = Blueprint("attributions", __name__)

    @routes.get(f"{PATH}/<id>")
    def read(id: str) -> Response:
        return attributions.read(id, request.args).response()

    return routes
