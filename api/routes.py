"""The endpoints of ``/v1/attributions``, in Flask, and a shorter way to the busiest of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qsl

from flask import Blueprint, Response, request

from api.attributions import PATH, Attributions
from api.errors import problem_of

WSGI = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def blueprint(attributions: Attributions) -> Blueprint:
    """Return the endpoints."""
    routes = Blueprint("attributions", __name__)

    @routes.post(PATH)
    def create() -> Response:
        content_type = request.content_type or ""
        return attributions.create(request.args, content_type, request.get_data()).response()

    @routes.get(f"{PATH}/<id>")
    def read(id: str) -> Response:
        return attributions.read(id, request.args).response()

    return routes


def express(app: WSGI, attributions: Attributions, max_body_bytes: int) -> WSGI:
    """Return ``app`` with ``POST /v1/attributions`` answered before Flask gets to see it.

    Nearly every request is one, and Flask's contexts, routing and response objects take nine
    tenths of the CPU time that it costs. What is unusual about a request, such as a body of
    unknown length, goes Flask's way.
    """

    def serve(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        length = environ.get("CONTENT_LENGTH") or ""
        if (
            environ["PATH_INFO"] != PATH
            or environ["REQUEST_METHOD"] != "POST"
            or not length.isdecimal()
            or int(length) > max_body_bytes
        ):
            return app(environ, start_response)
        query = environ.get("QUERY_STRING")
        try:
            answer = attributions.create(
                dict(parse_qsl(query)) if query else {},
                environ.get("CONTENT_TYPE", ""),
                environ["wsgi.input"].read(int(length)),
            )
        except Exception as error:  # as Flask's error handlers do
            answer = problem_of(error)
        start_response(*answer.wsgi())
        return (answer.body,)

    return serve
