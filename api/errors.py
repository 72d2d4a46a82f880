"""Turns errors into HTTP responses, which have a status and a problem document (RFC 9457)."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus

import msgspec
from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, RequestEntityTooLarge

from api.http_response import HttpResponse
from celery_app.hints import nearest, printable
from celery_app.settings import Settings
from tasks.errors import BylineError, RateLimited, TooLarge, WrongType

logger = logging.getLogger(__name__)

#: HTTP status of each error code. Any other code is a defect of Byline, and has the status 500.
STATUS = {
    "bad_request": 400,
    "not_json": 400,
    "unauthorized": 401,
    "foreign_origin": 403,
    "not_found": 404,
    "unknown_model": 404,
    "method_not_allowed": 405,
    "timeout": 408,
    "conflict": 409,
    "too_large": 413,
    "wrong_type": 415,
    "expectation_failed": 417,
    "wrong_host": 421,
    "dead_letter": 422,
    "invalid": 422,
    "rate_limited": 429,
    "headers_too_large": 431,
    "model_failed": 500,
    "internal_error": 500,
    "not_supported": 501,
    "broker_unavailable": 503,
    "cache_unavailable": 503,
    "no_answer": 503,
    "no_model": 503,
    "overloaded": 503,
    "revoked": 503,
    "deadline_passed": 504,
    "deadline_too_short": 504,
    "version_not_supported": 505,
}
#: Least value of the header ``Retry-After``, in seconds, for each error that may be temporary.
RETRY_AFTER_S = {
    "broker_unavailable": 5,
    "cache_unavailable": 5,
    "no_answer": 5,
    "no_model": 5,
    "overloaded": 1,
    "rate_limited": 1,
    "revoked": 1,
}
#: Largest number of bytes of a refused request's body that the server reads and discards.
DISCARDED_BYTES = 64 * 2**20
#: Other statuses for the request metrics, so that alerts on 500 to 599 do not count these errors.
METRICS_STATUS = {"deadline_too_short": "504_too_short"}
#: Error codes for the exceptions that Flask itself raises, by status.
FLASK_CODES = {400: "bad_request", 404: "not_found", 405: "method_not_allowed"}


class Problem(msgspec.Struct, frozen=True):
    """A problem document of RFC 9457. ``code`` is stable; ``detail`` is for people."""

    type: str
    title: str
    status: int
    code: str
    detail: str


def check_json(content_type: str) -> None:
    """Checks that a ``Content-Type`` declares JSON in UTF-8.

    Raises:
        WrongType: the header declares another type or encoding.
    """
    kind, _, parameters = content_type.lower().partition(";")
    charset = parameters.strip().removeprefix("charset=").strip('"')
    if kind.strip() != "application/json" or charset not in ("", "utf-8", "utf8"):
        raise WrongType("send the body as Content-Type: application/json, in UTF-8")


def problem(code: str, detail: str, wait_s: float = 0.0) -> HttpResponse:
    """Returns the HTTP response for an error: a problem document with the error's code and text.

    A header ``Retry-After`` is at least ``wait_s``: the expected wait of a new message, in seconds.
    """
    status = STATUS.get(code, 500)
    document = Problem(f"urn:byline:error:{code}", HTTPStatus(status).phrase, status, code, detail)
    least = RETRY_AFTER_S.get(code)
    headers: tuple[tuple[str, str], ...] = ()
    if least is not None:
        headers = (("Retry-After", str(max(least, math.ceil(wait_s)))),)
    if status == HTTPStatus.UNAUTHORIZED:
        headers = (("WWW-Authenticate", "Bearer"),)
    body, kind = msgspec.json.encode(document), "application/problem+json"
    return HttpResponse(body, status, kind, headers, METRICS_STATUS.get(code, ""))


def problem_of(error: Exception, wait_s: float = 0.0) -> HttpResponse:
    """Returns the HTTP response for an exception. Logs the exception if it is no ``BylineError``.

    ``wait_s`` has the same meaning as in :func:`problem`.
    """
    if isinstance(error, RateLimited):
        wait_s = error.retry_after_s
    if isinstance(error, BylineError):
        return problem(error.code, str(error), wait_s)
    logger.error("a request failed", exc_info=error)
    return problem("internal_error", "a defect of Byline; its log says more")


def too_large(limit: int) -> TooLarge:
    """Returns the error to raise for a body of more than ``limit`` bytes."""
    return TooLarge(f"the body has more than {limit:,} bytes")


def register(app: Flask, settings: Settings, wait_s: Callable[[], float]) -> None:
    """Registers a handler that turns every error of ``app`` into a problem document.

    ``wait_s()`` returns a new message's expected wait in seconds, for :func:`problem`.
    """

    @app.errorhandler(Exception)
    def handle_error(error: Exception) -> Response:
        if "body_is_read" not in g:
            _discard_body()
        if isinstance(error, RequestEntityTooLarge):
            error = too_large(settings.max_body_bytes)
        if isinstance(error, BylineError):
            return problem_of(error, wait_s() if error.code in RETRY_AFTER_S else 0.0).to_flask()
        if not isinstance(error, HTTPException):
            return problem_of(error).to_flask()
        code = FLASK_CODES.get(error.code or 500)
        if code is None:
            response = error.get_response()  # for example a redirect
            return Response(response.get_data(), response.status, response.headers)
        response = problem(code, _detail(error, app)).to_flask()
        if isinstance(error, MethodNotAllowed):
            response.headers["Allow"] = ", ".join(sorted(error.valid_methods or ()))
        return response


def _detail(error: HTTPException, app: Flask) -> str:
    """Returns an error's text. A 404 may suggest a similar path. A 405 names allowed methods."""
    path = printable(request.path)
    if isinstance(error, MethodNotAllowed):
        methods = sorted(error.valid_methods or ())
        verb = "is" if len(methods) == 1 else "are"
        method = printable(request.method)
        return f"{method} is not allowed on {path}; {' and '.join(methods)} {verb}."
    if error.code != HTTPStatus.NOT_FOUND:
        return error.description or ""
    # "/" is left out, because every short path is similar to it.
    paths = [r.rule for r in app.url_map.iter_rules() if not r.arguments and r.rule != "/"]
    close = nearest(request.path.lower(), paths)
    return f"There is no {path}.{f' Did you mean {close}?' if close else ''} See /docs."


def _discard_body() -> None:
    """Discards the unread body, up to a limit. Otherwise, the client might not get its response."""
    left, stream = DISCARDED_BYTES, request.environ["wsgi.input"]
    declared = request.content_length
    if not request.environ.get("wsgi.input_terminated"):
        left = min(left, declared or 0)
    with suppress(Exception):  # if the client is gone, each server raises its own error
        while left > 0 and (part := stream.read(min(left, 2**16))):
            left -= len(part)
