"""Pages of other sites, in a browser on this machine, neither ask the api nor read what it says."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from hashlib import sha256

import pytest

from tests.parts import Stack, wait_for

#: Every kind of route: the first is answered by a call where its body comes whole.
ROUTES = [
    ("POST", "/v1/attributions", True),
    ("POST", "/v1/attributions?wait=0", True),
    ("POST", "/v1/feedback", True),
    ("GET", f"/v1/attributions/{'0' * 32}", False),
    ("GET", "/v1/figures", False),
    ("GET", "/v1/models", False),
    ("GET", "/healthz", False),
    ("GET", "/readyz", False),
    ("GET", "/", False),
    ("GET", "/console/main.js", False),
    ("GET", "/docs", False),
    ("GET", "/openapi.json", False),
    ("HEAD", "/", False),
    ("OPTIONS", "/v1/attributions", False),
    ("GET", "/nowhere", False),
]
FORGED = "sent by a page of another site"


def asked(stack: Stack, method: str, path: str, body: bytes, *fields: str) -> tuple[int, str]:
    """Send a request in as many pieces as ``body`` has lines; return the status and the code."""
    first, *more = body.splitlines(keepends=True) or [b""]
    head = [f"{method} {path} HTTP/1.1", *fields, "Connection: close"]
    if body:
        head += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    address = ("127.0.0.1", int(stack.env["BYLINE_API_PORT"]))
    with socket.create_connection(address, 20) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.sendall("\r\n".join([*head, "", ""]).encode() + first)
        for piece in more:
            client.sendall(piece)
        answer = b"".join(iter(lambda: client.recv(1 << 16), b""))
    top, _, said = answer.partition(b"\r\n\r\n")
    problem = b"application/problem+json" in top and said
    return int(answer.split()[1]), json.loads(said)["code"] if problem else ""


def refused(stack: Stack, method: str, path: str, has_body: bool, *fields: str) -> list[str]:
    """The codes with which a request is refused, its body in one piece and in two."""
    body = json.dumps({"text": FORGED, "id": "0" * 32}).encode() if has_body else b""
    pieces = {body, body.replace(b",", b",\n")}
    answers = [asked(stack, method, path, each, *fields) for each in pieces]
    return sorted({f"{status} {code}".strip() for status, code in answers})


@pytest.mark.parametrize(("method", "path", "has_body"), ROUTES)
def test_no_route_answers_a_page_of_another_site(
    stack: Stack, method: str, path: str, has_body: bool
) -> None:
    port = stack.env["BYLINE_API_PORT"]
    code = "" if method == "HEAD" else "wrong_host"
    for rebound in ("evil.example", f"evil.example:{port}", f"localhost.evil.example:{port}"):
        asked = refused(stack, method, path, has_body, f"Host: {rebound}")
        assert asked == [f"421 {code}".strip()]
    code = "" if method == "HEAD" else "foreign_origin"
    for origin in ("http://evil.example", "null", "http://127.0.0.1:3000", "http://localhost"):
        fields = (f"Host: 127.0.0.1:{port}", f"Origin: {origin}")
        assert refused(stack, method, path, has_body, *fields) == [f"403 {code}".strip()]


def test_what_was_refused_reached_neither_queue_nor_model(stack: Stack) -> None:
    for fields in (("Host: evil.example",), ("Host: localhost", "Origin: http://evil.example")):
        refused(stack, "POST", "/v1/attributions?wait=0", True, *fields)
    assert stack.attribute({"text": "asked later"}).status_code == 200
    wait_for(lambda: stack.held() == 0, what="an empty queue")
    assert FORGED not in stack.calls()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "10.1.2.3"])
def test_the_console_and_programs_ask_as_before(stack: Stack, host: str) -> None:
    place = f"{host}:{stack.env['BYLINE_API_PORT']}"
    body = json.dumps({"text": f"asked at {host}"}).encode()
    for fields in ((f"Host: {place}",), (f"Host: {place}", f"Origin: http://{place}")):
        assert asked(stack, "POST", "/v1/attributions", body, *fields) == (200, "")


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """An api for other machines, which knows a name, and has no worker."""
    stack = Stack(tmp_path_factory.mktemp("named"), BYLINE_HOSTS="byline.example, api.example")
    stack.env["BYLINE_API_HOST"] = "0.0.0.0"
    try:
        stack.valkey()
        stack.api()
        yield stack
    finally:
        stack.close()


def test_an_api_that_was_told_its_names_knows_no_others(named: Stack) -> None:
    own = ("Host: BYLINE.example:8443", "Origin: https://byline.example:8443")
    assert asked(named, "GET", "/healthz", b"", *own)[0] == 200
    assert asked(named, "GET", "/healthz", b"", "Host: 10.0.0.7:8000")[0] == 200
    for method, path, has_body in ROUTES[:4]:
        assert refused(named, method, path, has_body, "Host: evil.example") == ["421 wrong_host"]
        fields = ("Host: byline.example", "Origin: http://evil.example")
        assert refused(named, method, path, has_body, *fields) == ["403 foreign_origin"]


def test_an_api_with_keys_may_have_any_name(own: Stack) -> None:
    keys = own.folder / "keys.txt"
    keys.write_text(f"one sha256:{sha256(b'one').hexdigest()}\n")
    own.api(BYLINE_KEYS_FILE=str(keys))
    fields = ("Host: byline.example", "Origin: https://elsewhere.example")
    assert asked(own, "GET", "/healthz", b"", *fields)[0] == 200
    # The browser has no key to send with what another site's page asks.
    assert asked(own, "POST", "/v1/attributions", b"{}", *fields) == (401, "unauthorized")
