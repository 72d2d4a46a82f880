"""The api answers odd requests of every kind. Each error has a code."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.given import (
    ATTRIBUTIONS,
    CONTENT_TYPES,
    GOOD,
    HEADERS,
    JSON,
    METHODS,
    NEARLY,
    ODD_METHODS,
    PATHS,
    QUERIES,
    TEXTS,
    VALUES,
    WAITS,
    encoded,
    spoiled,
)
from tests.fuzz.judge import check, share
from tests.fuzz.raw import Answer, Client, Headers, chunked, request

HOST = (b"Host", b"byline")


def post(body: bytes, target: bytes = ATTRIBUTIONS, headers: Headers = ()) -> bytes:
    """Returns a POST request with this body. Its type is JSON unless ``headers`` has another."""
    named = {name.lower() for name, _ in headers}
    own = [(b"Content-Type", JSON)] if b"content-type" not in named else []
    length = (b"Content-Length", b"%d" % len(body))
    return request(b"POST", target, [HOST, *own, length, *headers], body)


def fuzzed(part: float) -> Callable[[Any], Any]:
    """Makes a test send this part of all requests."""
    return settings(max_examples=share(part))


@fuzzed(0.05)
@given(body=st.binary(max_size=200), wait=WAITS)
def test_any_bytes(client: Client, body: bytes, wait: bytes) -> None:
    check(client.ask(post(body, ATTRIBUTIONS + wait)))


@fuzzed(0.20)
@given(value=NEARLY | VALUES, ascii=st.booleans(), wait=WAITS)
def test_any_json(client: Client, value: Any, ascii: bool, wait: bytes) -> None:
    check(client.ask(post(encoded(value, ascii), ATTRIBUTIONS + wait)))


@fuzzed(0.05)
@given(value=GOOD, wait=WAITS)
def test_valid_bodies(client: Client, value: Any, wait: bytes) -> None:
    answer = client.ask(post(encoded(value), ATTRIBUTIONS + wait))
    check(answer)
    assert answer.status in (200, 202, 413, 422, 503, 504), answer


@fuzzed(0.15)
@given(body=GOOD.map(encoded).flatmap(spoiled), wait=WAITS)
def test_spoiled_bodies(client: Client, body: bytes, wait: bytes) -> None:
    check(client.ask(post(body, ATTRIBUTIONS + wait)))


@fuzzed(0.05)
@given(value=GOOD, content_types=st.lists(CONTENT_TYPES, min_size=1, max_size=2))
def test_odd_types(client: Client, value: Any, content_types: list[bytes]) -> None:
    headers = [(b"Content-Type", each) for each in content_types]
    check(client.ask(post(encoded(value), ATTRIBUTIONS, headers)))


@fuzzed(0.05)
@given(value=GOOD, query=QUERIES)
def test_odd_queries(client: Client, value: Any, query: bytes) -> None:
    check(client.ask(post(encoded(value), ATTRIBUTIONS + b"?" + query)))


@fuzzed(0.05)
@given(value=GOOD, headers=HEADERS)
def test_odd_headers(client: Client, value: Any, headers: Headers) -> None:
    check(client.ask(post(encoded(value), ATTRIBUTIONS, headers)))


@fuzzed(0.05)
@given(method=ODD_METHODS, path=PATHS, query=QUERIES, headers=HEADERS)
def test_odd_paths(
    client: Client, method: bytes, path: bytes, query: bytes, headers: Headers
) -> None:
    target = path.translate(None, b"\r\n") + (b"?" + query if query else b"")
    check(client.ask(request(method, target, [HOST, *headers, (b"Content-Length", b"0")])))


KNOWN = [
    b"/v1/attributions",
    b"/v1/attributions/" + b"0" * 32,
    b"/v1/models",
    b"/healthz",
    b"/readyz",
    b"/openapi.json",
    b"/docs/",
    b"/docs/swagger-ui.css",
]


@fuzzed(0.05)
@given(method=METHODS, path=st.sampled_from(KNOWN), query=QUERIES, headers=HEADERS)
def test_known_paths(
    client: Client, method: bytes, path: bytes, query: bytes, headers: Headers
) -> None:
    target = path + (b"?" + query if query else b"")
    check(client.ask(request(method, target, [HOST, *headers, (b"Content-Length", b"0")])))


@fuzzed(0.03)
@given(value=GOOD, data=st.data())
def test_pieces(client: Client, value: Any, data: st.DataObject) -> None:
    body = encoded(value)
    cuts = sorted(data.draw(st.sets(st.integers(1, len(body) - 1), max_size=5)))
    pieces = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    headers = [HOST, (b"Content-Type", JSON), (b"Transfer-Encoding", b"chunked")]
    answer = client.ask(request(b"POST", ATTRIBUTIONS, headers, chunked(pieces)))
    check(answer)
    assert answer.status in (200, 202, 413, 422, 503, 504), answer


FRAMES = st.lists(
    st.one_of(
        st.tuples(
            st.just(b"Content-Length"),
            st.sampled_from(
                [b"0", b"1", b"5", b"+5", b"-1", b"1e2", b"0x10", b"", b" ", b"20001", b"9" * 30]
            )
            | st.integers(0, 300).map(lambda n: b"%d" % n),
        ),
        st.tuples(
            st.just(b"Transfer-Encoding"),
            st.sampled_from([b"chunked", b"gzip", b"chunked, chunked", b"x\x00", b"identity", b""]),
        ),
        st.sampled_from(
            [
                (b"Connection", b"Upgrade, HTTP2-Settings"),
                (b"Connection", b"close"),
                (b"Expect", b"100-continue"),
                (b"Upgrade", b"h2c"),
                (b"Upgrade", b"websocket"),
                (b"Content-Length ", b"3"),
                (b" Folded", b"line"),
            ]
        ),
    ),
    max_size=3,
)


@fuzzed(0.01)
@given(value=GOOD, frames=FRAMES, method=st.sampled_from([b"POST", b"GET", b"CONNECT"]))
def test_odd_lengths(client: Client, value: Any, frames: Headers, method: bytes) -> None:
    headers = [HOST, (b"Content-Type", JSON), *frames]
    poured(client, request(method, ATTRIBUTIONS, headers, encoded(value)))


@fuzzed(0.01)
@given(data=GOOD.map(encoded).map(post).flatmap(spoiled) | st.binary(min_size=1, max_size=100))
def test_bytes_that_may_be_no_request(client: Client, data: bytes) -> None:
    poured(client, data)


def poured(client: Client, data: bytes) -> None:
    """Sends bytes that may be no complete request, and checks all answers."""
    answers: list[Answer | None] = [*client.pour(data)]
    for answer in answers or [None]:
        check(answer)


@fuzzed(0.05)
@given(text=TEXTS, wait=WAITS, query=st.just(b"explain=true") | QUERIES)
def test_a_pending_result_can_be_fetched(
    client: Client, text: str, wait: bytes, query: bytes
) -> None:
    promised = client.ask(post(encoded({"text": text}), ATTRIBUTIONS + wait))
    check(promised)
    if promised.status in (200, 202):
        id = json.loads(promised.body)["id"].encode()
        found = client.ask(request(b"GET", ATTRIBUTIONS + b"/" + id + b"?" + query, [HOST]))
        check(found)
        assert found.status in (200, 202, 400, 422, 503), (promised, found)


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("protocol", [b"h2c", b"websocket", b"TLS/1.0"])
def test_an_offer_of_another_protocol_is_answered_with_http_1_1(
    client: Client, protocol: bytes, apart: bool
) -> None:
    body = encoded({"text": "in whatever protocol"})
    offer = [(b"Connection", b"Upgrade, HTTP2-Settings"), (b"Upgrade", protocol)]
    head = post(body, ATTRIBUTIONS, offer).removesuffix(body)
    try:
        answer = client.ask(head, body) if apart else client.ask(head + body)
        check(answer)
        assert answer.status == 200, answer
        check(client.ask(request(b"GET", b"/healthz", [HOST])))
    finally:
        client.close()


@pytest.mark.parametrize("size", [20_000, 20_001, 70_000, 3_000_000])
def test_large_bodies(client: Client, size: int) -> None:
    body = b'{"text": "a"}'.ljust(size)
    answer = client.ask(post(body))
    check(answer)
    assert answer.status == (200 if size <= 20_000 else 413), answer
