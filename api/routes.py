"""The endpoints of ``/v1/attributions``, in Flask, and a shorter way to the busiest of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qsl

from flask import Blueprint, Response, request

from api.answers import Answer
from api.attributions import PATH, Attributions
from api.errors import TooLarge, problem_of

Environ = dict[str, Any]
WSGI = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]


def blueprint(attributions: Attributions, max_body_bytes: int) -> Blueprint:
    """Return the endpoints."""
    routes = Blueprint("attributions", __name__)

    @routes.post(PATH)
    def create() -> Response:
        return _create(attributions, request.environ, max_body_bytes).response()

    @routes.get(f"{PATH}/<id>")
    def read(id: str) -> Response:
        return attributions.read(id, _query(request.environ)).response()

    return routes


def express(app: WSGI, attributions: Attributions, max_body_bytes: int) -> WSGI:
    """Return ``app`` with ``POST /v1/attributions`` answered before Flask gets to see it.

    Nearly every request is one, and Flask's contexts, routing and response objects take nine
    tenths of the CPU time that it costs.
    """

    def serve(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] != PATH or environ["REQUEST_METHOD"] != "POST":
            return app(environ, start_response)
        try:
            answer = _create(attributions, environ, max_body_bytes)
        except Exception as error:  # as Flask's error handlers do
            answer = problem_of(error)
        start_response(*answer.wsgi())
        return (answer.body,)

    return serve


def _create(attributions: Attributions, environ: Environ, max_body_bytes: int) -> Answer:
    body = _body(environ, max_body_bytes)
    return attributions.create(_query(environ), environ.get("CONTENT_TYPE") or "", body)


def _query(environ: Environ) -> dict[str, str]:
    query = environ.get("QUERY_STRING")
    return dict(parse_qsl(query, keep_blank_values=True)) if query else {}


def _body(environ: Environ, limit: int) -> bytes:
    """Return the body, whether its length was told before or not.

    Raises:
        TooLarge: it has more than ``limit`` bytes.
    """
    body: bytes = environ["wsgi.input"].read(limit + 1)
    if len(body) > limit:
        raise TooLarge(f"the body has more than {limit:,} bytes")
    return body
