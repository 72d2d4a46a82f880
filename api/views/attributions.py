"""Flask routes of ``/v1/attributions``: post one message or many, read an attribution by its id."""

from __future__ import annotations

from contextlib import nullcontext

from flask import Blueprint, Response, request

from api.requests.posted_request import read_posted
from api.runtime import Runtime
from api.service import PATH


def blueprint(runtime: Runtime) -> Blueprint:
    """Returns the Flask blueprint of ``/v1/attributions``."""
    routes = Blueprint("attributions", __name__)

    @routes.post(PATH)
    def create() -> Response:
        posted = read_posted(runtime.settings.max_body_bytes)
        with runtime.may_wait() as may_wait:
            posted = posted._replace(may_wait=may_wait)
            return runtime.run(runtime.services.attributions.create(posted)).to_flask()

    @routes.get(f"{PATH}/<id>")
    def read(id: str) -> Response:
        query, head = request.query_string, request.method == "HEAD"
        # A request without ``wait`` does not count among the threads that wait.
        with runtime.may_wait() if b"wait" in query else nullcontext(False) as may_wait:
            read = runtime.services.attributions.read(id, query, head, may_wait)
            return runtime.run(read).to_flask()

    return routes
