"""Flask route of ``/v1/feedback``: a client reports the true author of a message."""

from __future__ import annotations

from flask import Blueprint, Response

from api.requests.posted_request import read_posted
from api.runtime import Runtime


def blueprint(runtime: Runtime) -> Blueprint:
    """Returns the Flask blueprint of ``/v1/feedback``."""
    routes = Blueprint("feedback", __name__)

    @routes.post("/v1/feedback")
    def create() -> Response:
        posted = read_posted(runtime.settings.max_body_bytes)
        return runtime.run(runtime.services.feedback.create(posted)).to_flask()

    return routes
