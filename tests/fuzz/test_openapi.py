"""Schemathesis checks that the answers to odd requests conform to the OpenAPI document."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import hypothesis
import pytest
import requests
import schemathesis
from hypothesis import settings
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from api.openapi import document
from celery_app.settings import Settings
from tests.fuzz.conftest import LIMITS
from tests.fuzz.judge import check, share
from tests.fuzz.raw import Answer
from tests.parts import Stack

CHECKS = [
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
]

DOCUMENT = document(Settings.from_environ(LIMITS))
api = schemathesis.openapi.from_dict(DOCUMENT)
if hypothesis.core.global_force_seed is not None:  # from --hypothesis-seed
    api.config.seed = hypothesis.core.global_force_seed


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    """One connection for all requests."""
    with requests.Session() as session:
        yield session


def test_the_api_serves_the_checked_document(stack: Stack) -> None:
    assert httpx.get(f"{stack.url}/openapi.json").json() == DOCUMENT


@api.parametrize()
@settings(max_examples=share(0.1))  # for each operation; most need fewer
def test_answers_conform_to_the_document(
    case: schemathesis.Case, stack: Stack, session: requests.Session
) -> None:
    response = case.call(stack.url, session, timeout=30, allow_redirects=False)
    check(plain(response, case))
    case.validate_response(response, checks=CHECKS)


def plain(response: schemathesis.Response, case: schemathesis.Case) -> Answer:
    """Returns a response in the form that :func:`check` takes."""
    headers = {name: values[0] for name, values in response.headers.items()}
    asked = case.as_curl_command().encode("utf-8", "backslashreplace")
    head_only = response.request.method == "HEAD"
    return Answer(response.status_code, headers, response.content, head_only, asked)
