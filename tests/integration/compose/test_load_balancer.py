"""nginx, as containers have it, in front of two real apis and of servers that misbehave."""

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
#: Clients that ask without a pause.
CLIENTS = 8


@pytest.fixture
def both(tmp_path: Path) -> Iterator[tuple[Balanced, Got]]:
    """nginx in front of two servers that misbehave, and what they got."""
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
def test_what_may_come_twice_is_sent_to_another_and_all_else_is_not(
    both: tuple[Balanced, Got], path: str, times: int
) -> None:
    balanced, got = both
    answer = httpx.post(f"{balanced.url}{path}?die", content=b"{}", headers=JSON)
    assert [at for at, _ in got] == [path] * times
    assert (answer.status_code, answer.json()["code"]) == (503, "no_answer")
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["Retry-After"] == "5"


def test_one_more_api_is_asked_when_nginx_has_given_up(both: tuple[Balanced, Got]) -> None:
    balanced, got = both
    for path, status in (("/v1/attributions", 200), ("/v1/other", 503)):
        got.clear()
        answer = httpx.post(f"{balanced.url}{path}?die=2", content=b"{}", headers=JSON)
        assert answer.status_code == status


def test_an_answer_is_an_answer_whatever_it_says(
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
def test_what_nginx_refuses_itself_it_says_as_the_api_does(
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


def test_who_asks_is_who_connects_and_a_request_has_an_id(
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


def test_two_apis_behind_it(own: Stack) -> None:
    """One start of everything, for it takes seconds: limits, then restarts under load."""
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
            # In good order, as with each new version.
            apis[0].stop(signal.SIGTERM)
            _wait_for_more(asking)
            apis[0] = _api(own, ports[0])
            _wait_for_api(ports[0])
            _wait_for_both(balanced, len(balanced.log()))
            # And as a machine stops that loses its power.
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
    """Wait until an api answers itself, and knows of a worker."""
    url = f"http://127.0.0.1:{port}/readyz"

    def ready() -> bool:
        try:
            return httpx.get(url, timeout=2).status_code == 200
        except httpx.TransportError:
            return False

    wait_for(ready, 30, "an api")


def _wait_for_both(balanced: Balanced, since: int) -> None:
    """Wait until each api has answered something after so many lines of the log."""

    def seen() -> bool:
        lines = balanced.log()[since:]
        return {line["api"].rpartition(":")[2] for line in lines if line["status"] == "200"} >= {
            str(port) for port in balanced.apis
        }

    wait_for(seen, 20, "both to answer")


def _check_limits(balanced: Balanced) -> None:
    """What is too large for nginx is too large for the api, to the byte, and said alike."""
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
    # Neither the metrics nor Flower are behind it.
    for path in ("/metrics", "/flower", "/workers"):
        assert httpx.get(balanced.url + path).status_code == 404
