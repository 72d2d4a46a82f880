"""From errors to HTTP: one table, and RFC 9457 problem documents."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import msgspec
from flask import Flask, Response
from werkzeug.exceptions import HTTPException

from tasks.errors import BylineError

#: Code to status. What is not here is a defect: 500.
STATUS = {
    "not_json": 400,
    "not_found": 404,
    "method_not_allowed": 405,
    "too_large": 413,
    "wrong_type": 415,
    "invalid": 422,
    "model_failed": 500,
    "internal_error": 500,
    "broker_unavailable": 503,
    "no_answer": 503,
    "no_model": 503,
    "overloaded": 503,
    "revoked": 503,
    "deadline_passed": 504,
}

#: Seconds after which it is worth coming back, for those that pass by themselves.
RETRY_AFTER_S = {
    "broker_unavailable": 5,
    "no_answer": 5,
    "no_model": 5,
    "overloaded": 1,
    "revoked": 1,
}

#: Codes of the errors that Flask raises itself.
FLASK_CODES = {404: "not_found", 405: "method_not_allowed", 413: "too_large", 415: "wrong_type"}


class Problem(msgspec.Struct, frozen=True):
    """An RFC 9457 problem document. ``code`` is stable; ``detail`` is for people."""

    type: str
    title: str
    status: int
    code: str
    detail: str


class NotJSON(BylineError):
    """The body can't be parsed."""

    code = "not_json"


class WrongType(BylineError):
    """The body is not declared to be JSON."""

    code = "wrong_type"


class NotFound(BylineError):
    """No such attribution: never accepted, or kept no longer."""

    code = "not_found"


def reply(value: Any, status: int = 200) -> Response:
    """Return ``value`` as a JSON response."""
    return Response(msgspec.json.encode(value), status, mimetype="application/json")


def problem(code: str, detail: str) -> Problem:
    """Return the problem document for an error's code and words."""
    status = STATUS.get(code, 500)
    return Problem(f"urn:byline:error:{code}", HTTPStatus(status).phrase, status, code, detail)


def respond(code: str, detail: str) -> Response:
    """Return the response for an error."""
    document = problem(code, detail)
    response = Response(
        msgspec.json.encode(document), document.status, mimetype="application/problem+json"
    )
    if code in RETRY_AFTER_S:
        response.headers["Retry-After"] = str(RETRY_AFTER_S[code])
    return response


def register(app: Flask) -> None:
    """Have every error of ``app`` answered with a problem document."""

    @app.errorhandler(BylineError)
    def ours(error: BylineError) -> Response:
        return respond(error.code, str(error))

    @app.errorhandler(HTTPException)
    def flask(error: HTTPException) -> Any:
        code = FLASK_CODES.get(error.code or 500)
        return respond(code, error.description or "") if code else error

    @app.errorhandler(Exception)
    def defect(error: Exception) -> Response:
        app.logger.exception("a request failed", exc_info=error)
        return respond("internal_error", "a defect of Byline; its log says more")
