"""From errors to HTTP: one table, and RFC 9457 problem documents."""

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
from celery_app.settings import Settings
from tasks.errors import BylineError, RateLimited, TooLarge, WrongType

logger = logging.getLogger(__name__)

#: Code to status. What is not here is a defect: 500.
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

#: Seconds after which it is worth coming back, at the least, for those that pass by themselves.
RETRY_AFTER_S = {
    "broker_unavailable": 5,
    "cache_unavailable": 5,
    "no_answer": 5,
    "no_model": 5,
    "overloaded": 1,
    "rate_limited": 1,
    "revoked": 1,
}

#: Bytes that are read at most of a body that is too large.
DISCARDED_BYTES = 64 * 2**20

#: Codes whose requests are counted under another status than ``5..``: Byline did not fail at them.
COUNTED = {"deadline_too_short": "504_too_short"}

#: Codes of the errors that Flask raises itself.
FLASK_CODES = {400: "bad_request", 404: "not_found", 405: "method_not_allowed"}


class Problem(msgspec.Struct, frozen=True):
    """An RFC 9457 problem document. ``code`` is stable; ``detail`` is for people."""

    type: str
    title: str
    status: int
    code: str
    detail: str


def check_json(content_type: str) -> None:
    """See that a body is declared to be JSON, in UTF-8.

    Raises:
        WrongType: it is not.
    """
    kind, _, parameters = content_type.lower().partition(";")
    charset = parameters.strip().removeprefix("charset=").strip('"')
    if kind.strip() != "application/json" or charset not in ("", "utf-8", "utf8"):
        raise WrongType("send the body as Content-Type: application/json, in UTF-8")


def problem(code: str, detail: str, wait_s: float = 0.0) -> HttpResponse:
    """Return the answer for an error's code and words.

    ``wait_s`` is how long what waits already will take: not before is it worth coming back.
    """
    status = STATUS.get(code, 500)
    document = Problem(f"urn:byline:error:{code}", HTTPStatus(status).phrase, status, code, detail)
    least = RETRY_AFTER_S.get(code)
    headers: tuple[tuple[str, str], ...] = ()
    if least is not None:
        headers = (("Retry-After", str(max(least, math.ceil(wait_s)))),)
    if status == HTTPStatus.UNAUTHORIZED:
        headers = (("WWW-Authenticate", "Bearer"),)
    body = msgspec.json.encode(document)
    return HttpResponse(body, status, "application/problem+json", headers, COUNTED.get(code, ""))


def problem_of(error: Exception, wait_s: float = 0.0) -> HttpResponse:
    """Return the answer for an exception; one that is not ours is a defect, and logged.

    ``wait_s`` as for :func:`problem`.
    """
    if isinstance(error, RateLimited):
        wait_s = error.retry_after_s
    if isinstance(error, BylineError):
        return problem(error.code, str(error), wait_s)
    logger.error("a request failed", exc_info=error)
    return problem("internal_error", "a defect of Byline; its log says more")


def too_large(limit: int) -> TooLarge:
    """Return the error for a body of more than ``limit`` bytes."""
    return TooLarge(f"the body has more than {limit:,} bytes")


def register(app: Flask, settings: Settings, wait_s: Callable[[], float]) -> None:
    """Have every error of ``app`` answered with a problem document.

    ``wait_s()`` as for :func:`problem`.
    """

    @app.errorhandler(Exception)
    def answer(error: Exception) -> Response:
        if "body_is_read" not in g:
            _discard_body()
        if isinstance(error, RequestEntityTooLarge):
            error = too_large(settings.max_body_bytes)
        if isinstance(error, BylineError):
            return problem_of(error, wait_s() if error.code in RETRY_AFTER_S else 0.0).response()
        if not isinstance(error, HTTPException):
            return problem_of(error).response()
        code = FLASK_CODES.get(error.code or 500)
        if code is None:
            response = error.get_response()  # a redirect, say
            return Response(response.get_data(), response.status, response.headers)
        response = problem(code, error.description or "").response()
        if isinstance(error, MethodNotAllowed):
            response.headers["Allow"] = ", ".join(sorted(error.valid_methods or ()))
        return response


def _discard_body() -> None:
    """Read what the client still sends, up to a bound: one that is cut off may lose its answer."""
    left, stream = DISCARDED_BYTES, request.environ["wsgi.input"]
    told = request.content_length
    if not request.environ.get("wsgi.input_terminated"):
        left = min(left, told or 0)
    with suppress(Exception):  # whatever a server raises where the client has gone
        while left > 0 and (part := stream.read(min(left, 2**16))):
            left -= len(part)
