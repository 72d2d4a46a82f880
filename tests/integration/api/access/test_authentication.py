"""With a key file, every route except the open routes refuses a request without a key."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256

import pytest
from werkzeug.routing import Rule

from api.app import create_app
from api.runtime import Runtime
from celery_app.settings import Settings
from tests.integration.ways import WAYS, Http, opened
from tests.parts import Stack

KEY = "key-of-the-test"
#: Routes that need no key. Every other route needs a key, a new route too.
OPEN = {
    *("/", "/console/<name>", "/docs/", "/docs/<path:path>", "/openapi.json"),
    *("/healthz", "/readyz", "/alerting/runbooks/<name>"),
}
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def rules() -> list[Rule]:
    return list(create_app(Runtime(Settings())).url_map.iter_rules())


def path_of(rule: str) -> str:
    return (
        rule.replace("<id>", "0" * 32)
        .replace("runbooks/<name>", "runbooks/NoWorker.md")
        .replace("<name>", "main.js")
        .replace("<path:path>", "index.css")
    )


@pytest.fixture(scope="module", params=WAYS)
def guarded(
    request: pytest.FixtureRequest, stack: Stack, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Http]:
    file = tmp_path_factory.mktemp("keys") / "keys.txt"
    file.write_text(f"one sha256:{sha256(KEY.encode()).hexdigest()}\n")
    with opened(request.param, stack, BYLINE_KEYS_FILE=str(file)) as client:
        yield client


def test_every_route_that_needs_a_key_refuses_requests_without_a_key(guarded: Http) -> None:
    needing = [rule.rule for rule in rules() if rule.rule not in OPEN]
    assert len(needing) >= 5
    for path in map(path_of, needing):
        for method in METHODS:
            for headers in (
                {},
                {"Authorization": "Bearer wrong"},
                {"Authorization": f"Basic {KEY}"},
            ):
                answer = guarded.request(method, path, headers=headers)
                assert answer.status_code == 401, (method, path, answer.text)
                assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_open_routes_answer_without_a_key(guarded: Http) -> None:
    assert {rule.rule for rule in rules()} >= OPEN
    for path in map(path_of, OPEN):
        assert guarded.get(path).status_code == 200, path


@pytest.mark.parametrize(
    "path", ["/nowhere", "/v1", "//v1/models", "/v1//models", "/%76%31/models", "/metrics"]
)
def test_unknown_paths_refuse_requests_without_a_key(guarded: Http, path: str) -> None:
    assert guarded.get(path).status_code == 401


def test_a_large_body_without_a_key_is_refused_with_401(guarded: Http) -> None:
    for path in ("/v1/attributions", "/v1/feedback"):
        answer = guarded.post(path, json={"text": "x" * 5_000_000})
        assert answer.status_code == 401, path


def test_requests_with_the_key_are_answered(guarded: Http) -> None:
    own = {"Authorization": f"Bearer {KEY}"}
    assert guarded.get("/v1/models", headers=own).status_code == 200
    asked = guarded.post("/v1/attributions", json={"text": "with a key"}, headers=own)
    assert asked.status_code == 200
    there = f"/v1/attributions/{asked.json()['id']}"
    assert guarded.get(there, headers=own).json()["author"] == asked.json()["author"]
