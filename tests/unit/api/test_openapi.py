"""The OpenAPI document is valid, and says what the code does."""

from __future__ import annotations

import subprocess
import sys

from openapi_spec_validator import validate

from api.errors import STATUS
from api.openapi import document
from celery_app.settings import Settings

SETTINGS = Settings.from_environ({"BYLINE_MAX_BULK": "7", "BYLINE_MAX_CHARACTERS": "99"})


def test_it_is_valid() -> None:
    validate(document(SETTINGS))


def test_the_schemas_are_those_of_the_types() -> None:
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
    post = document(SETTINGS)["paths"]["/v1/attributions"]["post"]["responses"]
    for code, status in STATUS.items():
        if code not in ("not_found", "method_not_allowed", "bad_request"):
            assert code in post[str(status)]["description"]


def test_the_api_never_imports_torch() -> None:
    code = "import sys, api.server, api.__main__; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
