"""Malformed and oversized requests, sent as bytes to a real server of the api."""

from __future__ import annotations

import http.client
import json
import socket
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import httpx
import psutil
import pytest
import requests

from tests.integration.api.raw_http import (
    CHUNKED,
    CODES,
    FLOODS,
    HOST,
    LENGTH,
    MALFORMED,
    endless,
    exchanged,
    get,
    post,
)
from tests.parts import Part, Stack, needs_accelerator, wait_for

pytestmark = needs_accelerator

SIZE = 10_000_000
JSON = {"Content-Type": "application/json"}
PATH = "/v1/attributions"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """An api that requires a key. It has no worker, since no request of this file needs one."""
    stack = Stack(tmp_path_factory.mktemp("guarded"))
    keys = stack.folder / "keys.txt"
    keys.write_text(f"free sha256:{sha256(b'free').hexdigest()}\n")
    stack.env["BYLINE_KEYS_FILE"] = str(keys)
    try:
        stack.valkey()
        stack.api()
        yield stack
        assert stack.parts[-1].alive
        assert "Traceback" not in stack.parts[-1].output
    finally:
        stack.close()


@pytest.fixture(scope="module")
def api(guarded: Stack) -> Part:
    return guarded.parts[-1]


def by_urllib(url: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(url, body, headers)
    with pytest.raises(urllib.error.HTTPError) as raised:
        opener.open(request, timeout=30)
    return raised.value.code, raised.value.read()


def by_requests(url: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
    answer = requests.post(url, data=body, headers=headers, timeout=30)
    return answer.status_code, answer.content


def by_requests_in_chunks(url: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
    pieces = (body[start : start + 100_000] for start in range(0, len(body), 100_000))
    answer = requests.post(url, data=pieces, headers=headers, timeout=30)
    return answer.status_code, answer.content


def by_httpx(url: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
    answer = httpx.post(url, content=body, headers=headers, timeout=30)
    return answer.status_code, answer.content


Ask = Callable[[str, dict[str, str], bytes], tuple[int, bytes]]
ASK = [by_urllib, by_requests, by_requests_in_chunks, by_httpx]
KEY = {"Authorization": "Bearer free"}


@pytest.mark.parametrize("ask", ASK)
@pytest.mark.parametrize(
    ("path", "headers", "status", "code"),
    [
        (PATH, {**KEY, **JSON}, 413, "too_large"),
        (PATH, JSON, 401, "unauthorized"),
        (PATH, {**KEY, **JSON, "Content-Encoding": "gzip"}, 415, "wrong_type"),
        ("/v1/feedback", {**KEY, **JSON}, 413, "too_large"),
        ("/v1/figures", {**KEY, **JSON}, 405, "method_not_allowed"),
        ("/v1/nowhere", {**KEY, **JSON}, 404, "not_found"),
        ("/", {**KEY, **JSON}, 405, "method_not_allowed"),
        (PATH, {**KEY, **JSON, "X-Long": "x" * 40_000}, 431, "headers_too_large"),
        (PATH, {**KEY, **JSON, "Expect": "more"}, 417, "expectation_failed"),
    ],
)
def test_a_client_that_sends_ten_megabytes_before_reading_gets_the_error(
    guarded: Stack, ask: Ask, path: str, headers: dict[str, str], status: int, code: str
) -> None:
    for _ in range(3):  # a connection reset may come only now and then
        answered, body = ask(guarded.url + path, headers, b"x" * SIZE)
        assert (answered, json.loads(body)["code"]) == (status, code)


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_request_gets_an_error_and_its_connection_is_closed(
    guarded: Stack, name: str
) -> None:
    data, status = MALFORMED[name]
    for before in (b"", get(HOST)):
        received = exchanged(guarded, before + data + get(HOST))
        if before:
            good, _, received = received.partition(b"HTTP/1.1 %d" % status)
            assert good.startswith(b"HTTP/1.1 200"), good
            assert good.endswith(b'{"status":"ok","parts":{"api":"ok"}}'), good
            received = b"HTTP/1.1 %d" % status + received
        head, _, body = received.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 %d " % status), received
        assert b"content-type: application/problem+json" in head.split(b"\r\n")
        assert b"connection: close" in head.split(b"\r\n")
        document = json.loads(body)
        assert (document["status"], document["code"]) == (status, CODES[status])


def test_a_key_in_a_trailer_is_ignored(guarded: Stack) -> None:
    ask = b"POST /v1/attributions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    body = b'%b\r\n\r\nd\r\n{"text": "a"}\r\n0\r\nAuthorization: Bearer free\r\n\r\n' % CHUNKED
    for piece in (get(HOST, b"Connection: close"), b""):
        received = exchanged(guarded, ask + b"Connection: close\r\n" * (not piece) + body + piece)
        assert received.startswith(b"HTTP/1.1 401"), received
    # The key does not count for the next request on the same connection, either.
    models = get(HOST, b"Connection: close", first=b"GET /v1/models HTTP/1.1")
    received = exchanged(guarded, post(CHUNKED, body=body.partition(b"\r\n\r\n")[2]) + models)
    assert b"HTTP/1.1 401" in received, received


def test_a_client_that_closes_its_sending_side_gets_the_answer(guarded: Stack) -> None:
    address = ("127.0.0.1", int(guarded.env["BYLINE_API_PORT"]))
    for data in (post(LENGTH), get(HOST), get(HOST, first=b"GET /readyz HTTP/1.1")):
        with socket.create_connection(address, 20) as client:
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
            received = b"".join(iter(lambda: client.recv(1 << 16), b""))
        assert received.startswith((b"HTTP/1.1 422", b"HTTP/1.1 200", b"HTTP/1.1 503")), received


@pytest.mark.parametrize(
    ("method", "path", "words"),
    [
        ("POST", "/v1/attributions?wait=abc&wait=1", "names wait twice"),
        ("POST", "/v1/attributions?wiat=1", "did you mean wait?"),
        ("POST", "/v1/feedback?wait=1", "unknown name, 'wait'"),
        ("GET", f"/v1/attributions/{'0' * 32}?explain=true&explain=false", "names explain twice"),
        ("GET", "/v1/figures?point=1", "did you mean points?"),
        ("GET", "/v1/models?x=1", "unknown name, 'x'"),
    ],
)
def test_an_unknown_or_repeated_name_in_the_query_is_refused(
    guarded: Stack, method: str, path: str, words: str
) -> None:
    body = b'{"text": "a"}' if method == "POST" else None
    answer = httpx.request(method, guarded.url + path, content=body, headers={**KEY, **JSON})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
    assert words in answer.json()["detail"]


def test_expect_100_continue_is_answered_or_the_body_is_refused(guarded: Stack) -> None:
    expects = b"Expect: 100-continue"
    received = exchanged(guarded, post(LENGTH, expects, b"Connection: close"))
    assert received.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 422"), received
    received = exchanged(guarded, post(b"Content-Length: %d" % SIZE, expects, body=b""))
    assert received.startswith(b"HTTP/1.1 413"), received


def memory(api: Part) -> int:
    return int(psutil.Process(api.process.pid).memory_info().rss)


@pytest.mark.parametrize("name", FLOODS)
def test_an_endless_request_costs_no_memory_and_delays_no_other_client(
    guarded: Stack, api: Part, name: str
) -> None:
    address = ("127.0.0.1", int(guarded.env["BYLINE_API_PORT"]))
    before, worst = memory(api), 0.0
    with socket.create_connection(address, 20) as client:
        client.settimeout(20)
        others = http.client.HTTPConnection(*address, timeout=20)
        for number, piece in enumerate(endless(*FLOODS[name], 48_000_000)):
            client.sendall(piece)
            if number % 100 == 0:
                begun = time.monotonic()
                others.request("GET", "/healthz")
                assert others.getresponse().read()
                worst = max(worst, time.monotonic() - begun)
        status = int(client.recv(12).split()[1])
    assert status in (400, 401, 431)
    assert worst < 1
    assert memory(api) - before < 20_000_000


def test_a_client_that_never_stops_sending_is_disconnected(guarded: Stack, api: Part) -> None:
    address = ("127.0.0.1", int(guarded.env["BYLINE_API_PORT"]))
    with socket.create_connection(address, 20) as client:
        pieces = endless(*FLOODS["one header"], 500_000_000)
        with pytest.raises(ConnectionError):
            deque(map(client.sendall, pieces))


def test_requests_sent_behind_a_slow_request_cost_no_memory(
    guarded: Stack, api: Part, tmp_path: Path
) -> None:
    address = ("127.0.0.1", int(guarded.env["BYLINE_API_PORT"]))
    before = memory(api)
    with socket.create_connection(address, 20) as client:
        client.setblocking(False)
        data = post(b"Content-Length: 13", body=b'{"text": "a"}', query=b"?wait=30")
        client.send(data)
        until = time.monotonic() + 2  # longer than the api takes to process anything
        sent = 0
        while time.monotonic() < until and sent < 20_000_000:
            try:
                sent += client.send(get(HOST, first=b"GET / HTTP/1.1") * 1000)
            except BlockingIOError:
                time.sleep(0.01)  # the api reads no more for now
        assert memory(api) - before < 20_000_000
    wait_for(lambda: httpx.get(f"{guarded.url}/healthz").status_code == 200, what="the api")
