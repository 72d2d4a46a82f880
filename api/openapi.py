"""``/openapi.json``: the paths of ``openapi.json`` beside it, with the types that validate."""

from __future__ import annotations

import json
from pathlib import Path
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
#: Statuses of what is no request that HTTP knows, or one that Byline does not take, wherever to.
_ANY = (400, 403, 408, 417, 421, 431, 501, 505)
_TEMPLATE = Path(__file__).with_suffix(".json")


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
    found: dict[str, Any] = json.loads(_TEMPLATE.read_text())
    _, types = msgspec.json.schema_components(_TYPES, ref_template="#/components/schemas/{name}")
    found["components"]["schemas"] |= types
    asked = types["AttributionRequest_MessageIn_"]
    asked["oneOf"] = [{"required": ["text"]}, {"required": ["messages"]}]
    asked["properties"]["messages"]["maxItems"] = settings.max_bulk
    for message in (asked, types["MessageIn"]):
        message["properties"]["text"]["maxLength"] = settings.max_characters
    for methods in found["paths"].values():
        for operation in methods.values():
            operation["responses"] |= _problems(operation.pop("x-problems"))
            for parameter in operation.get("parameters", ()):
                if parameter["name"] == "wait":
                    parameter["schema"]["maximum"] = settings.wait_max_s
    return found


def _problems(statuses: list[int]) -> dict[str, Any]:
    """Return the error responses, and those of any request, each with the codes it may carry."""
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        str(status): {
            "description": ", ".join(code for code, s in STATUS.items() if s == status),
            "content": {"application/problem+json": {"schema": schema}},
        }
        for status in sorted({*statuses, *_ANY})
    }
