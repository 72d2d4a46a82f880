"""The console's files: types, access without a key, security headers, and links."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from api import console
from tests.parts import ROOT
from tests.unit.api.fake_runtime import fake_app

FOLDER = ROOT / "api" / "console"
TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}


@pytest.fixture(scope="module")
def client() -> FlaskClient:
    return fake_app().test_client()


def test_every_file_of_the_folder_is_served_without_a_key(tmp_path: Path) -> None:
    files = {path.name for path in FOLDER.iterdir() if path.suffix in TYPES}
    assert files == set(console.FILES)
    keys = tmp_path / "keys"
    keys.write_text(f"one sha256:{'0' * 64}\n")
    guarded = fake_app(BYLINE_KEYS_FILE=str(keys)).test_client()
    assert {guarded.get(path).status_code for path in console.PATHS} == {200}
    assert guarded.get("/v1/models").status_code == 401


@pytest.mark.parametrize("path", console.PATHS)
def test_file_is_served_with_its_type(client: FlaskClient, path: str) -> None:
    response = client.get(path)
    name = path.rpartition("/")[2] or "index.html"
    assert response.status_code == 200
    assert response.headers["Content-Type"] == f"{TYPES[Path(name).suffix]}; charset=utf-8"
    assert response.data == (FOLDER / name).read_bytes()


@pytest.mark.parametrize("path", console.PATHS)
def test_policy_forbids_inline_and_foreign_code(client: FlaskClient, path: str) -> None:
    headers = client.get(path).headers
    assert headers.getlist("Content-Security-Policy") == [console.POLICY]
    assert console.POLICY.startswith("default-src 'self'; ")
    assert "unsafe" not in console.POLICY
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"


def test_cached_file_is_revalidated_and_not_sent_again(client: FlaskClient) -> None:
    first = client.get("/console/main.js")
    assert first.headers["Cache-Control"] == "no-cache"
    again = client.get("/console/main.js", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    assert again.headers["Content-Security-Policy"] == console.POLICY


@pytest.mark.parametrize(
    "path",
    [
        "/console",
        "/console/",
        "/console/index.html",
        "/console/nothing.js",
        "/console/../app.py",
        "/console/..%2fapp.py",
        "/console/%2e%2e/app.py",
        "/console//etc/passwd",
        "/console/console/main.js",
        "/console/main.js%00",
    ],
)
def test_other_paths_get_404(client: FlaskClient, path: str) -> None:
    response = client.get(path)
    assert (response.status_code, response.json["code"]) == (404, "not_found")


def test_other_pages_keep_their_policy(client: FlaskClient) -> None:
    assert "'unsafe-inline'" in client.get("/docs/").headers["Content-Security-Policy"]


def test_every_link_of_the_page_exists() -> None:
    page = (FOLDER / "index.html").read_text()
    links = set(re.findall(r'(?:src|href)="([^"]+)"', page))
    assert links <= {*console.PATHS, "/docs", "/docs/", "/openapi.json"}
    assert not re.search(r"<style|style=|<script(?! type=\"module\" src)|\son\w+=", page)
    for script in FOLDER.glob("*.js"):
        source = script.read_text()
        assert set(re.findall(r'from "\./([^"]+)"', source)) <= set(console.FILES)
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", source
        )


def test_scripts_use_only_elements_of_the_page() -> None:
    page = (FOLDER / "index.html").read_text()
    asked = {
        id
        for script in FOLDER.glob("*.js")
        for id in re.findall(r'byId\("([^"]+)"\)', script.read_text())
    }
    assert asked <= set(re.findall(r'id="([^"]+)"', page))
