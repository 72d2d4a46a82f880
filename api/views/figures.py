"""Flask route of ``/v1/figures``: the measurements that the console shows."""

from __future__ import annotations

from flask import Blueprint, Response, request

from api.runtime import Runtime


def blueprint(runtime: Runtime) -> Blueprint:
    """Returns the Flask blueprint of ``/v1/figures``."""
    routes = Blueprint("figures", __name__)

    @routes.get("/v1/figures")
    def read() -> Response:
        query = request.query_string
        return runtime.run(runtime.services.figures.read(query)).to_flask()

    return routes
