"""nginx, as in the containers, in front of two real apis and of servers that misbehave."""

from __future__ import annotations

import json
import signal
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests import nginx
from tests.integration.compose.load_balancer import LIMIT, Balanced, Clients, Got, Misbehaving
from tests.parts import Part, Stack, free_port, wait_for

pytestmark = nginx.needs_nginx

JSON = {"Content-Type": "application/json"}
#: Number of clients that send requests without a pause.
CLIENTS = 8


@pytest.fixture
def both(tmp_path: Path) -> Iterator[tuple[Balanced, Got]]:
    """nginx in front of two servers that misbehave, and the requests that the servers got."""
    got: Got = []
    stack, servers = Stack(tmp_path), [Misbehaving(got), Misbehaving(got)]
    try:
        yield Balanced(stack, [server.port for server in servers]), got
    finally:
        stack.close()
        for server in servers:
            server.close()


def received(got: Got, path: str) -> list[dict[str, str]]:
    return [headers for at, headers in got if at == path]


@pytest.mark.parametrize(
    ("path", "times"), [("/v1/attributions", 3), ("/v1/feedback", 3), ("/v1/other", 1)]
)
def test_only_a_repeatable_request_is_sent_to_another_server(
    both: tuple[Balanced, Got], path: str, times: int
) -> None:
    balanced, got = both
    answer = httpx.post(f"{balanced.url}{path}?die", content=b"{}", headers=JSON)
    assert [at for at, _ in got] == [path] * times
    assert (answer.status_code, answer.json()["code"]) == (503, "no_answer")
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["Retry-After"] == "5"


def test_a_repeatable_request_is_sent_a_third_time(both: tuple[Balanced, Got]) -> None:
    balanced, got = both
    for path, status in (("/v1/attributions", 200), ("/v1/other", 503)):
        got.clear()
        answer = httpx.post(f"{balanced.url}{path}?die=2", content=b"{}", headers=JSON)
        assert answer.status_code == status


def test_a_request_with_an_error_answer_is_not_repeated(
    both: tuple[Balanced, Got],
) -> None:
    balanced, got = both
    statuses = [
        httpx.post(f"{balanced.url}/v1/attributions?{status}", content=b"{}").status_code
        for status in (503, 504, 502, 500, 429, 413)
    ]
    assert statuses == [503, 504, 502, 500, 429, 413]
    assert len(received(got, "/v1/attributions")) == 6


HEAD = b"Host: a\r\n\r\n"


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400, "bad_request"),
        (b"GET / HTTP/1.1\r\nHost: b\r\n" + HEAD, 400, "bad_request"),
        (b"\0\r\n\r\n", 400, "bad_request"),
        (b"GET /%b HTTP/1.1\r\n" % (b"x" * 40_000) + HEAD, 431, "headers_too_large"),
        (b"GET / HTTP/1.1\r\nX: %b\r\n" % (b"x" * 40_000) + HEAD, 431, "headers_too_large"),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 40_000 + HEAD, 431, "headers_too_large"),
        (b"GET / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n" + HEAD, 501, "not_supported"),
        (b"GET / HTTP/2.0\r\n" + HEAD, 505, "version_not_supported"),
    ],
)
def test_nginx_refuses_with_the_same_errors_as_the_api(
    both: tuple[Balanced, Got], data: bytes, status: int, code: str
) -> None:
    balanced, _ = both
    url = httpx.URL(balanced.url)
    with socket.create_connection((url.host, url.port or 80), 20) as client:
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        received = b"".join(iter(lambda: client.recv(1 << 16), b""))
    head, _, body = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status), received[:300]
    assert b"Content-Type: application/problem+json" in head
    assert (json.loads(body)["status"], json.loads(body)["code"]) == (status, code)


def test_nginx_sets_the_client_address_and_the_request_id(
    both: tuple[Balanced, Got],
) -> None:
    balanced, got = both
    forged = {"X-Forwarded-For": "6.6.6.6", "Forwarded": "for=6.6.6.6", "X-Request-ID": "mine-1"}
    answer = httpx.post(f"{balanced.url}/kept", content=b"{}", headers=forged)
    (headers,) = received(got, "/kept")
    assert headers["x-forwarded-for"] == "127.0.0.1"
    assert "forwarded" not in headers
    assert headers["x-request-id"] == "mine-1"
    assert answer.headers.get_list("X-Request-ID") == ["mine-1"]

    told = {
        httpx.post(f"{balanced.url}/odd", content=b"{}", headers={"X-Request-ID": odd}).headers[
            "X-Request-ID"
        ]
        for odd in ("a b", 'quoted"', "x" * 129, "")
    }
    assert told == {headers["x-request-id"] for headers in received(got, "/odd")}
    assert [len(name) for name in told] == [32] * 4  # made by nginx
    wait_for(lambda: "mine-1" in {line["id"] for line in balanced.log()}, what="the log")


def test_no_request_fails_while_one_of_two_apis_restarts_or_dies(own: Stack) -> None:
    """Checks limits, then restarts under load: one test, since the start takes seconds."""
    own.worker()
    ports = [free_port(), free_port()]
    apis = [_api(own, port) for port in ports]
    for port in ports:
        _wait_for_api(port)
    balanced = Balanced(own, ports)
    _check_limits(balanced)

    asking, stop = Clients(balanced.url), threading.Event()
    with ThreadPoolExecutor(CLIENTS) as pool:
        running = [pool.submit(asking.go, client, stop) for client in range(CLIENTS)]
        try:
            _wait_for_both(balanced, 0)
            # An orderly restart, as for a new version.
            apis[0].stop(signal.SIGTERM)
            _wait_for_more(asking)
            apis[0] = _api(own, ports[0])
            _wait_for_api(ports[0])
            _wait_for_both(balanced, len(balanced.log()))
            # A sudden end, as when a machine loses its power.
            apis[0].stop(signal.SIGKILL)
            _wait_for_more(asking)
        finally:
            stop.set()
        for each in running:
            each.result(30)
    assert asking.failed == []
    assert asking.statuses == {200: asking.answered}


def _wait_for_more(asking: Clients) -> None:
    before = asking.answered
    wait_for(lambda: asking.answered > before + 100, what="the other to answer")


def _api(stack: Stack, port: int) -> Part:
    return stack.start_api(BYLINE_API_PORT=str(port), BYLINE_API_METRICS_PORT=str(free_port()))


def _wait_for_api(port: int) -> None:
    """Waits until an api answers, and knows of a worker."""
    url = f"http://127.0.0.1:{port}/readyz"

    def ready() -> bool:
        try:
            return httpx.get(url, timeout=2).status_code == 200
        except httpx.TransportError:
            return False

    wait_for(ready, 30, "an api")


def _wait_for_both(balanced: Balanced, since: int) -> None:
    """Waits until each api has answered a request after line ``since`` of nginx's log."""

    def seen() -> bool:
        lines = balanced.log()[since:]
        return {line["api"].rpartition(":")[2] for line in lines if line["status"] == "200"} >= {
            str(port) for port in balanced.apis
        }

    wait_for(seen, 20, "both to answer")


def _check_limits(balanced: Balanced) -> None:
    """Checks that nginx and the api have the same size limit, to the byte, and the same error."""
    text = b'{"text": "aeiou"}'
    direct = f"http://127.0.0.1:{balanced.apis[0]}"
    allowed, larger = text.ljust(LIMIT), text.ljust(LIMIT + 1)
    for url in (balanced.url, direct):
        answer = httpx.post(f"{url}/v1/attributions", content=allowed, headers=JSON, timeout=20)
        assert answer.status_code == 200
    said = [
        httpx.post(f"{url}/v1/attributions", content=larger, headers=JSON, timeout=20)
        for url in (balanced.url, direct)
    ]
    assert {answer.status_code for answer in said} == {413}
    assert {answer.headers["Content-Type"] for answer in said} == {"application/problem+json"}
    problems = [{k: v for k, v in answer.json().items() if k != "detail"} for answer in said]
    assert problems[0] == problems[1]
    # nginx serves neither the metrics nor Flower.
    for path in ("/metrics", "/flower", "/workers"):
        assert httpx.get(balanced.url + path).status_code == 404
