"""Byline's protocol gives the same responses as uvicorn's own: bytes sent to real servers."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

import pytest
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from api.accelerator.fast_protocol import FastHttpProtocol
from api.http_response import HttpResponse
from tests.unit.api.accelerator.serving import LAST, exchanged

#: Bytes that the client sends at a time.
BYTE_BY_BYTE = 1
#: Bytes that the client sends at a time: more than the longest request has.
AT_ONCE = 1 << 30
#: Keys of an ASGI scope that differ between two connections.
OF_CONNECTION = ("client", "server")
RESPONSE = HttpResponse(b'{"by":"call"}', 201, headers=(("Location", "/here"),))


class Recorder:
    """Records each scope and body. Responds with a length, or in chunks at ``/chunked``."""

    def __init__(self) -> None:
        self.seen: list[tuple[dict[str, Any], bytes]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        message = await receive()
        body = message["body"]
        while message["more_body"]:
            message = await receive()
            body += message["body"]
        self.seen.append(({k: v for k, v in scope.items() if k not in OF_CONNECTION}, body))
        response = b"%s has %d bytes" % (scope["path"].encode(), len(body))
        chunked = scope["path"] == "/chunked"
        headers = [] if chunked else [(b"content-length", b"%d" % len(response))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        if chunked:
            await send({"type": "http.response.body", "body": b"first, ", "more_body": True})
        await send({"type": "http.response.body", "body": response})


REQUESTS = {
    "a path in escapes, and a query": b"GET /%C3%A4%20b?q=%20&q=2 HTTP/1.1\r\nHost: a\r\n\r\n",
    "headers in any case, twice": (
        b"GET / HTTP/1.1\r\nHOST: a\r\nx-Own: 1\r\nX-OWN:  2 \r\nEmpty:\r\n\r\n"
    ),
    "a body with a length": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    "a body in chunks, one with an extension": (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"5\r\nhello\r\n6;extension=1\r\n world\r\n0\r\n\r\n"
    ),
    "a response in chunks": b"GET /chunked HTTP/1.1\r\nHost: a\r\n\r\n",
    "a response without a body": b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
    "the client waits to be told to send": (
        b"PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n{}"
    ),
    "pipelined requests": b"".join(
        b"POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx" % number
        for number in range(5)
    ),
    "a body larger than the buffer": (
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n" + b"x" * 300_000
    ),
}


def without_date(response: bytes) -> bytes:
    return re.sub(rb"date: [^\r]+\r\n", b"", response)


def seen_and_answered(
    protocol: type[asyncio.Protocol], data: bytes, step: int
) -> tuple[list[tuple[dict[str, Any], bytes]], bytes]:
    recorder = Recorder()
    received = exchanged(recorder, data, step, protocol)
    return recorder.seen, without_date(received)


@pytest.mark.parametrize("last", [LAST, b"GET / HTTP/1.0\r\n\r\n"], ids=["1.1", "1.0"])
@pytest.mark.parametrize("data", REQUESTS.values(), ids=REQUESTS)
def test_request_is_handled_as_by_uvicorn(data: bytes, last: bytes) -> None:
    plain = seen_and_answered(HttpToolsProtocol, data + last, AT_ONCE)
    assert len(plain[0]) > 1
    assert seen_and_answered(FastHttpProtocol, data + last, AT_ONCE) == plain


@pytest.mark.parametrize("name", list(REQUESTS)[:-1])
def test_request_sent_byte_by_byte_is_handled_as_by_uvicorn(name: str) -> None:
    data = REQUESTS[name] + LAST
    plain = seen_and_answered(HttpToolsProtocol, data, BYTE_BY_BYTE)
    assert len(plain[0]) > 1
    assert seen_and_answered(FastHttpProtocol, data, BYTE_BY_BYTE) == plain


class Both:
    """An application that gives the same response by callback and as an ASGI application."""

    called = 0

    def handle_fast(
        self, headers: Any, body: bytes, on_response: Callable[[HttpResponse], None]
    ) -> bool:
        self.called += 1
        on_response(RESPONSE)
        return True

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        start = {
            "type": "http.response.start",
            "status": RESPONSE.status,
            "headers": RESPONSE.asgi_headers(),
        }
        await send(start)
        await send({"type": "http.response.body", "body": RESPONSE.body})


def parts(responses: bytes) -> list[tuple[bytes, list[bytes], bytes]]:
    """Returns the first line, the sorted headers and the body of each response."""
    found = []
    for response in without_date(responses).split(b"HTTP/1.1 ")[1:]:
        head, _, body = response.partition(b"\r\n\r\n")
        first, *headers = head.split(b"\r\n")
        found.append((first, sorted(headers), body))
    return found


@pytest.mark.parametrize("last", [b"Connection: close\r\n", b"Connection: Close, x\r\n"])
def test_callback_response_equals_the_response_of_uvicorn(last: bytes) -> None:
    post = b"POST /v1/attributions HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n%b\r\n{}"
    data = post % b"" + post % last
    ours, plain = Both(), Both()
    received = exchanged(ours, data)
    assert (ours.called, plain.called) == (2, 0)
    assert len(parts(received)) == 2
    assert parts(received) == parts(exchanged(plain, data, protocol=HttpToolsProtocol))
