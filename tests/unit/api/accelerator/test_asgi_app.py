"""The whole ASGI application refuses requests by web pages of other sites."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import pytest

from api.accelerator import asgi_app
from api.http_response import HttpResponse
from api.requests.posted_request import PostedRequest
from tests.unit.api.accelerator.serving import all_of, connect, served
from tests.unit.api.fake_runtime import Services, fake_app

#: Every kind of route. The first is answered by callback if its body arrives whole.
ROUTES = [
    ("POST", "/v1/attributions"),
    ("POST", "/v1/attributions?wait=0"),
    ("POST", "/v1/feedback"),
    ("GET", f"/v1/attributions/{'0' * 32}"),
    ("GET", "/v1/figures"),
    ("GET", "/v1/models"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/"),
    ("GET", "/console/main.js"),
    ("GET", "/docs"),
    ("GET", "/openapi.json"),
    ("OPTIONS", "/v1/attributions"),
    ("GET", "/nowhere"),
]


@contextmanager
def api(**settings: str) -> Iterator[tuple[int, Services]]:
    """Starts a server with these settings. Yields its port and the fake services behind it."""
    app = fake_app(**settings)
    runtime = app.extensions["byline"]

    def handle_fast(
        service: Services, posted: PostedRequest, on_response: Callable[[HttpResponse], None]
    ) -> bool:
        on_response(service.count())
        return True

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asgi_app, "handle_fast", handle_fast)
        with served(asgi_app.AsgiApp(runtime, app)) as (_, port):
            yield port, runtime.services


@pytest.fixture(scope="module")
def here() -> Iterator[tuple[int, Services]]:
    """A server with default settings: on the loopback address, without keys."""
    with api() as served:
        yield served


def codes(port: int, method: str, path: str, *fields: str) -> set[str]:
    """Returns the error codes of two requests, with the body in one piece and in two.

    The code of a response with status 200 is empty.
    """
    body = b'{"text": "forged"}' if method == "POST" else b""
    head = [f"{method} {path} HTTP/1.1", *fields, "Connection: close"]
    if body:
        head += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    start = "\r\n".join([*head, "", ""]).encode()
    found = set()
    for pieces in ((start + body,), (start + body[:5], body[5:])):
        with connect(port) as client:
            for piece in filter(None, pieces):
                client.sendall(piece)
            top, _, content = all_of(client).partition(b"\r\n\r\n")
        status = int(top.split()[1])
        found.add("" if status == 200 else f"{status} {json.loads(content)['code']}")
    return found


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_page_of_another_site_is_refused_on_every_route(
    here: tuple[int, Services], method: str, path: str
) -> None:
    port, services = here
    asked_before = services.asked
    for rebound in ("evil.example", f"evil.example:{port}", f"localhost.evil.example:{port}"):
        assert codes(port, method, path, f"Host: {rebound}") == {"421 wrong_host"}
    for origin in ("http://evil.example", "null", "http://127.0.0.1:3000", "http://localhost"):
        fields = (f"Host: 127.0.0.1:{port}", f"Origin: {origin}")
        assert codes(port, method, path, *fields) == {"403 foreign_origin"}
    assert services.asked == asked_before


@pytest.mark.parametrize("host", ["127.0.0.1:{}", "localhost:{}", "[::1]:{}", "10.1.2.3"])
def test_console_and_programs_are_allowed(here: tuple[int, Services], host: str) -> None:
    port, services = here
    address = host.format(port)
    asked_before = services.asked
    for fields in ((f"Host: {address}",), (f"Host: {address}", f"Origin: http://{address}")):
        for method, path in ROUTES[:6]:
            assert codes(port, method, path, *fields) == {""}
    assert services.asked > asked_before


def test_api_with_host_names_refuses_other_names() -> None:
    with api(BYLINE_API_HOST="0.0.0.0", BYLINE_HOSTS="byline.example, api.example") as (port, _):
        own = ("Host: BYLINE.example:8443", "Origin: https://byline.example:8443")
        for method, path in ROUTES[:6]:
            assert codes(port, method, path, *own) == {""}
            assert codes(port, method, path, "Host: 10.0.0.7:8000") == {""}
            assert codes(port, method, path, "Host: evil.example") == {"421 wrong_host"}
            fields = ("Host: api.example", "Origin: http://evil.example")
            assert codes(port, method, path, *fields) == {"403 foreign_origin"}


@pytest.mark.parametrize(
    "settings", [{"BYLINE_API_HOST": "0.0.0.0"}, {"BYLINE_KEYS_FILE": "keys"}], ids=str
)
def test_public_api_or_api_with_keys_accepts_any_host(
    settings: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("keys").write_text(f"one sha256:{sha256(b'secret').hexdigest()}\n")
    with api(**settings) as (port, _):
        own = ("Host: byline.example", "Origin: https://elsewhere.example")
        fields = (*own, "Authorization: Bearer secret")
        for method, path in ROUTES[:6]:
            assert codes(port, method, path, *fields) == {""}


def test_host_or_origin_sent_twice_gets_400(here: tuple[int, Services]) -> None:
    port, _ = here
    own = (f"Host: 127.0.0.1:{port}", f"Origin: http://127.0.0.1:{port}")
    for more in ("Host: evil.example", "Origin: http://evil.example"):
        assert codes(port, "POST", "/v1/attributions", *own, more) == {"400 bad_request"}
