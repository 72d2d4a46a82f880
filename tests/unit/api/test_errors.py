"""The error 404 names the path and a similar path; 405 names the method and the allowed ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from tests.unit.api.fake_runtime import fake_app

ID = "1121e39db15bb924da180d0e5aa80f82"


@pytest.fixture(scope="module")
def client() -> FlaskClient:
    return fake_app().test_client()


@pytest.mark.parametrize(
    ("path", "detail"),
    [
        ("/v1/attribution", "There is no /v1/attribution. Did you mean /v1/attributions? See"),
        ("/attributions", "There is no /attributions. Did you mean /v1/attributions? See"),
        ("/V1/Models", "There is no /V1/Models. Did you mean /v1/models? See"),
        ("/health", "There is no /health. Did you mean /healthz? See"),
        ("/openapi.yaml", "There is no /openapi.yaml. Did you mean /openapi.json? See"),
        ("/x", "There is no /x. See"),
        ("/metrics", "There is no /metrics. See"),
        ("/console/nothing.js", "There is no /console/nothing.js. See"),
        ("/a%0d%0aSet-Cookie:%20b", r"There is no /a\r\nSet-Cookie: b. See"),
        ("/%00%7f", r"There is no /\x00\x7f. See"),
        ("/caf%C3%A9%E2%80%AE", r"There is no /caf\xe9\u202e. See"),
        ("/%ff", r"There is no /\ufffd. See"),
        ("/" + "y" * 5_000, f"There is no /{'y' * 59}.... See"),
    ],
)
def test_unknown_path_is_named_with_the_one_that_may_be_meant(
    client: FlaskClient, path: str, detail: str
) -> None:
    response = client.get(path)
    assert (response.status_code, response.json["code"]) == (404, "not_found")
    assert response.json["detail"] == f"{detail} /docs."
    assert response.data.isascii()
    assert response.data.decode().isprintable()


def test_escapes_can_not_make_the_text_long(client: FlaskClient) -> None:
    response = client.get("/" + "%F0%9F%98%80" * 1_000)
    assert response.status_code == 404
    assert len(response.json["detail"]) < 700


@pytest.mark.parametrize(
    ("method", "path", "detail"),
    [
        ("GET", "/v1/attributions", "GET is not allowed on /v1/attributions; POST is."),
        ("PUT", "/v1/models", "PUT is not allowed on /v1/models; GET and HEAD are."),
        (
            "DELETE",
            f"/v1/attributions/{ID}",
            f"DELETE is not allowed on /v1/attributions/{ID}; GET and HEAD are.",
        ),
        ("POST", "/", "POST is not allowed on /; GET and HEAD are."),
        ("PUT", "/docs/%0a", r"PUT is not allowed on /docs/\n; GET and HEAD are."),
        ("X" * 70, "/healthz", f"{'X' * 60}... is not allowed on /healthz; GET and HEAD are."),
    ],
)
def test_wrong_method_is_named_with_the_right_ones(
    client: FlaskClient, method: str, path: str, detail: str
) -> None:
    response = client.open(path, method=method)
    assert (response.status_code, response.json["code"]) == (405, "method_not_allowed")
    assert response.json["detail"] == detail
    assert response.headers["Allow"].replace(", ", " and ") in detail


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/v1/attribution"), ("GET", "/x"), ("GET", "/v1/attributions"), ("PUT", "/")],
)
def test_client_without_a_key_learns_nothing_about_paths(
    tmp_path: Path, method: str, path: str
) -> None:
    keys = tmp_path / "keys"
    keys.write_text(f"one sha256:{'0' * 64}\n")
    guarded = fake_app(BYLINE_KEYS_FILE=str(keys)).test_client()
    response = guarded.open(path, method=method)
    assert (response.status_code, response.json["code"]) == (401, "unauthorized")
    assert path not in json.loads(response.data)["detail"]
