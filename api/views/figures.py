"""``/v1/figures``: what the console shows."""

from __future__ import annotations

from flask import Blueprint, Response, request

from api.runtime import Runtime


def blueprint(runtime: Runtime) -> Blueprint:
    """Return the endpoint."""
    routes = Blueprint("figures", __name__)

    @routes.get("/v1/figures")
    def read() -> Response:
        query = request.query_string
        return runtime.run(runtime.services.figures.read(query)).response()

    return routes
