"""``/v1/feedback``: the true author of a message, when it is learned."""

from __future__ import annotations

from flask import Blueprint, Response

from api.requests.posted_request import read_posted
from api.runtime import Runtime


def blueprint(runtime: Runtime) -> Blueprint:
    """Return the endpoint."""
    routes = Blueprint("feedback", __name__)

    @routes.post("/v1/feedback")
    def create() -> Response:
        posted = read_posted(runtime.settings.max_body_bytes)
        return runtime.run(runtime.services.feedback.create(posted)).response()

    return routes
