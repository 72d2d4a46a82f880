"""``/openapi.json``, from the types that validate."""

from __future__ import annotations

from typing import Any

import msgspec
from flask import Blueprint, Response

from api.errors import STATUS, Problem
from api.schemas import (
    AttributionRequest,
    FeedbackRequest,
    Health,
    Learned,
    MessageIn,
    ModelInfo,
    Pending,
    Refused,
)
from celery_app.settings import Settings
from monitoring.points import POINTS
from tasks.messages import Attribution

_TYPES = [
    AttributionRequest[MessageIn],
    Attribution,
    Pending,
    Refused,
    ModelInfo,
    Health,
    Problem,
    FeedbackRequest,
    Learned,
]


def blueprint(settings: Settings) -> Blueprint:
    """Return the endpoint."""
    routes = Blueprint("openapi", __name__)
    body = msgspec.json.encode(document(settings))

    @routes.get("/openapi.json")
    def openapi() -> Response:
        return Response(body, mimetype="application/json")

    return routes


def document(settings: Settings) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document, with the limits that are set."""
    refs, components = msgspec.json.schema_components(
        _TYPES, ref_template="#/components/schemas/{name}"
    )
    request, attribution, pending, refused, model, health, problem, feedback, learned = refs
    asked = components["AttributionRequest_MessageIn_"]
    asked["oneOf"] = [{"required": ["text"]}, {"required": ["messages"]}]
    asked["properties"]["messages"]["maxItems"] = settings.max_bulk
    for message in (asked, components["MessageIn"]):
        message["properties"]["text"]["maxLength"] = settings.max_characters
    wait = {**_WAIT, "schema": {"type": "number", "minimum": 0, "maximum": settings.wait_max_s}}
    components["Bulk"] = {
        "type": "object",
        "description": "One item for each message, in order.",
        "required": ["attributions"],
        "properties": {
            "attributions": {
                "type": "array",
                "items": {"anyOf": [attribution, pending, refused]},
            }
        },
    }
    bulk = {"$ref": "#/components/schemas/Bulk"}
    either = {"anyOf": [attribution, bulk]}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Byline",
            "version": "1",
            "description": "Who most likely wrote this, how sure, and why.",
        },
        "paths": {
            "/v1/attributions": {
                "post": {
                    "summary": "Attribute a message, or many",
                    "operationId": "attribute",
                    "parameters": [_EXPLAIN, wait, _MODEL],
                    "requestBody": {"required": True, "content": _json(request)},
                    "responses": {
                        "200": _answer("Attributed.", either),
                        "202": _answer("Accepted: ask again.", {"anyOf": [pending, bulk]}),
                        **_problems(problem, 400, 401, 404, 413, 415, 422, 429, 500, 503, 504),
                    },
                }
            },
            "/v1/attributions/{id}": {
                "get": {
                    "summary": "Read an attribution",
                    "operationId": "read",
                    "parameters": [_ID, _EXPLAIN],
                    "responses": {
                        "200": _answer("Attributed.", attribution),
                        "202": _answer("Not yet: ask again.", pending),
                        **_problems(problem, 401, 404, 422, 500, 503),
                    },
                }
            },
            "/v1/feedback": {
                "post": {
                    "summary": "Say who wrote a message, when it is learned",
                    "operationId": "learn",
                    "requestBody": {"required": True, "content": _json(feedback)},
                    "responses": {
                        "202": _answer("Noted. Said again, it counts once.", learned),
                        **_problems(problem, 400, 401, 404, 409, 413, 415, 422, 429, 503),
                    },
                }
            },
            "/v1/figures": {
                "get": {
                    "summary": "The figures of the last minutes here, as the console has them",
                    "operationId": "figures",
                    "parameters": [_POINTS],
                    "responses": {
                        "200": _answer("The oldest first.", _FIGURES),
                        **_problems(problem, 401, 422, 503),
                    },
                }
            },
            "/v1/models": {
                "get": {
                    "summary": "The model being served, and its card",
                    "operationId": "models",
                    "responses": {
                        "200": _answer("The model.", model),
                        **_problems(problem, 401, 422, 503),
                    },
                }
            },
            "/healthz": _check("Is this process alive?", "live", health, problem),
            "/readyz": _check("Are the broker and a worker there?", "ready", health, problem),
        },
        "components": {
            "schemas": components,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        # A key, or none: it is needed where BYLINE_KEYS_FILE is set.
        "security": [{"key": []}, {}],
    }


#: Statuses of what is no request that HTTP knows, or one that Byline does not take, wherever to.
_ANY = (400, 403, 408, 417, 421, 431, 501, 505)

_EXPLAIN = {
    "name": "explain",
    "in": "query",
    "description": "Also say what in the text speaks for the author. Counts as eight messages.",
    "schema": {"type": "boolean", "default": False},
}
_WAIT: dict[str, Any] = {
    "name": "wait",
    "in": "query",
    "description": "Seconds to wait for the answer before 202. 0: don't wait.",
}
_MODEL: dict[str, Any] = {
    "name": "model",
    "in": "query",
    "description": "The version that is to answer, and no other. Unset: the one that is served.",
    "schema": {"type": "string", "minLength": 1},
}
_POINTS = {
    "name": "points",
    "in": "query",
    "description": "How many, at most; there is one every two seconds.",
    "schema": {"type": "integer", "minimum": 1, "maximum": POINTS, "default": POINTS},
}
_FIGURES = {
    "type": "object",
    "required": ["points", "alerts", "links"],
    "properties": {
        "points": {"type": "array", "items": {"type": "object"}},
        "alerts": {
            "description": "Those that fire, the worst first; null: Alertmanager says nothing.",
            "type": ["object", "null"],
            "required": ["firing"],
            "properties": {"firing": {"type": "array", "items": {"type": "object"}}},
        },
        "links": {"type": "object", "additionalProperties": {"type": ["string", "null"]}},
    },
}
_ID = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}


def _json(schema: Any) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _answer(description: str, schema: Any) -> dict[str, Any]:
    return {"description": description, "content": _json(schema)}


def _check(summary: str, operation: str, health: Any, problem: Any) -> dict[str, Any]:
    responses = {
        "200": _answer("Yes.", health),
        "503": _answer("No.", health),
        **_problems(problem),
    }
    return {"get": {"summary": summary, "operationId": operation, "responses": responses}}


def _problems(problem: Any, *statuses: int) -> dict[str, Any]:
    """Return the error responses, and those of any request, each with the codes it may carry."""
    content = {"application/problem+json": {"schema": problem}}
    return {
        str(status): {
            "description": ", ".join(code for code, s in STATUS.items() if s == status),
            "content": content,
        }
        for status in sorted({*statuses, *_ANY})
    }
