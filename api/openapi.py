"""Serves ``/openapi.json``: joins the file ``openapi.json`` with the types of ``schemas.py``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
from flask import Blueprint, Response

from api import schemas
from api.errors import STATUS, Problem
from celery_app.settings import Settings
from tasks.messages import Attribution

#: Types of request and response bodies that the document describes.
_TYPES = (
    *(schemas.AttributionRequest[schemas.MessageIn], Attribution, schemas.Pending),
    *(schemas.Refused, schemas.ModelInfo, schemas.Health, Problem),
    *(schemas.FeedbackRequest, schemas.Learned),
)
#: Error statuses that every path can return, for example for a request that breaks HTTP's rules.
_STATUSES_OF_ALL = (400, 403, 408, 417, 421, 431, 501, 505)
_TEMPLATE = Path(__file__).with_suffix(".json")


def blueprint(settings: Settings) -> Blueprint:
    """Returns the Flask blueprint of ``/openapi.json``."""
    routes = Blueprint("openapi", __name__)
    body = msgspec.json.encode(document(settings))

    @routes.get("/openapi.json")
    def openapi() -> Response:
        return Response(body, mimetype="application/json")

    return routes


def document(settings: Settings) -> dict[str, Any]:
    """Returns the OpenAPI 3.1 document, with the limits from the settings."""
    openapi: dict[str, Any] = json.loads(_TEMPLATE.read_text())
    _, types = msgspec.json.schema_components(_TYPES, ref_template="#/components/schemas/{name}")
    openapi["components"]["schemas"] |= types
    request = types["AttributionRequest_MessageIn_"]
    request["oneOf"] = [{"required": ["text"]}, {"required": ["messages"]}]
    request["properties"]["messages"]["maxItems"] = settings.max_bulk
    for message in (request, types["MessageIn"]):
        message["properties"]["text"]["maxLength"] = settings.max_characters
    for methods in openapi["paths"].values():
        for operation in methods.values():
            operation["responses"] |= _problems(operation.pop("x-problems"))
            for parameter in operation.get("parameters", ()):
                if parameter["name"] == "wait":
                    parameter["schema"]["maximum"] = settings.wait_max_s
    return openapi


def _problems(statuses: list[int]) -> dict[str, Any]:
    """Returns OpenAPI's descriptions of error responses, by status. Each names its error codes."""
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        str(status): {
            "description": ", ".join(code for code, s in STATUS.items() if s == status),
            "content": {"application/problem+json": {"schema": schema}},
        }
        for status in sorted({*statuses, *_STATUSES_OF_ALL})
    }
