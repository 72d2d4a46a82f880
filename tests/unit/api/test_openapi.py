"""The OpenAPI document is valid, and agrees with the code."""

from __future__ import annotations

import subprocess
import sys

from openapi_spec_validator import validate

from api.errors import STATUS
from api.openapi import document
from celery_app.settings import Settings
from tests.parts import ACCELERATED

SETTINGS = Settings.from_environ({"BYLINE_MAX_BULK": "7", "BYLINE_MAX_CHARACTERS": "99"})


def test_document_is_valid() -> None:
    validate(document(SETTINGS))


def test_schemas_are_those_of_the_types() -> None:
    schemas = document(SETTINGS)["components"]["schemas"]
    assert set(schemas["Attribution"]["required"]) == {
        "id",
        "author",
        "confidence",
        "candidates",
        "model",
    }
    assert schemas["AttributionRequest_MessageIn_"]["additionalProperties"] is False


def test_every_error_code_is_documented_with_its_status() -> None:
    responses = [
        (status, response["description"])
        for methods in document(SETTINGS)["paths"].values()
        for operation in methods.values()
        for status, response in operation["responses"].items()
    ]
    for code, status in STATUS.items():
        if code not in ("method_not_allowed", "bad_request"):
            assert any(code in words for each, words in responses if each == str(status)), code


def test_api_never_imports_torch() -> None:
    modules = "sys, api.plain_server, api.__main__"
    modules += ", api.accelerator.server, api.accelerator.asgi_app" if ACCELERATED else ""
    code = f"import {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
