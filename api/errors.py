"""From errors to HTTP: one table, and RFC 9457 problem documents."""

from __future__ import annotations

import logging
import math
from http import HTTPStatus

import msgspec
from flask import Flask, Response
from werkzeug.exceptions import HTTPException

from api.answers import Answer
from tasks.errors import BylineError, RateLimited

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


class BadRequest(BylineError):
    """What was sent is no HTTP, or HTTP that breaks a rule."""

    code = "bad_request"


class Timeout(BylineError):
    """The request has not come whole in time."""

    code = "timeout"


class HeadersTooLarge(BylineError):
    """The URL, the header fields, the trailers or the chunk sizes have too many bytes."""

    code = "headers_too_large"


class ExpectationFailed(BylineError):
    """The client expects what is not done here."""

    code = "expectation_failed"


class NotSupported(BylineError):
    """The body is sent in a way that is not understood here."""

    code = "not_supported"


class VersionNotSupported(BylineError):
    """The request is in another version of HTTP."""

    code = "version_not_supported"


class NotJSON(BylineError):
    """The body can't be parsed."""

    code = "not_json"


class WrongType(BylineError):
    """The body is not declared to be JSON."""

    code = "wrong_type"


class TooLarge(BylineError):
    """The body is larger than may be."""

    code = "too_large"


class Conflict(BylineError):
    """What is said contradicts what was said before."""

    code = "conflict"


class NotFound(BylineError):
    """No such attribution: never accepted, or kept no longer."""

    code = "not_found"


def check_json(content_type: str) -> None:
    """See that a body is declared to be JSON, in UTF-8.

    Raises:
        WrongType: it is not.
    """
    kind, _, parameters = content_type.lower().partition(";")
    charset = parameters.strip().removeprefix("charset=").strip('"')
    if kind.strip() != "application/json" or charset not in ("", "utf-8", "utf8"):
        raise WrongType("send the body as Content-Type: application/json, in UTF-8")


def problem(code: str, detail: str, wait_s: float = 0.0) -> Answer:
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
    return Answer(body, status, "application/problem+json", headers, COUNTED.get(code, ""))


def problem_of(error: Exception, wait_s: float = 0.0) -> Answer:
    """Return the answer for an exception; one that is not ours is a defect, and logged.

    ``wait_s`` as for :func:`problem`.
    """
    if isinstance(error, RateLimited):
        wait_s = error.retry_after_s
    if isinstance(error, BylineError):
        return problem(error.code, str(error), wait_s)
    logger.error("a request failed", exc_info=error)
    return problem("internal_error", "a defect of Byline; its log says more")


def register(app: Flask) -> None:
    """Have every error of ``app`` answered with a problem document."""

    @app.errorhandler(Exception)
    def answer(error: Exception) -> Response:
        if not isinstance(error, HTTPException):
            return problem_of(error).response()
        code = FLASK_CODES.get(error.code or 500)
        if code is None:
            response = error.get_response()  # a redirect, say
            return Response(response.get_data(), response.status, response.headers)
        response = problem(code, error.description or "").response()
        for name, value in error.get_headers():
            response.headers.setdefault(name, value)  # Allow, where the method is the matter
        return response
