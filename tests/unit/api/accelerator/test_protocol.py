"""What is no matter of limits, Byline's protocol does as uvicorn's own, on a real server."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

import pytest
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from api.accelerator.protocol import Protocol
from api.http_response import HttpResponse
from tests.unit.api.accelerator.serving import LAST, exchanged

BYTE_BY_BYTE, AT_ONCE = 1, 1 << 30
#: What differs between two connections.
OF_CONNECTION = ("client", "server")
ANSWER = HttpResponse(b'{"by":"call"}', 201, headers=(("Location", "/here"),))


class Recorder:
    """Notes each scope and body, and answers with a length, or without one in chunks."""

    def __init__(self) -> None:
        self.seen: list[tuple[dict[str, Any], bytes]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        message = await receive()
        body = message["body"]
        while message["more_body"]:
            message = await receive()
            body += message["body"]
        self.seen.append(({k: v for k, v in scope.items() if k not in OF_CONNECTION}, body))
        given = b"%s has %d bytes" % (scope["path"].encode(), len(body))
        chunked = scope["path"] == "/chunked"
        headers = [] if chunked else [(b"content-length", b"%d" % len(given))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        if chunked:
            await send({"type": "http.response.body", "body": b"first, ", "more_body": True})
        await send({"type": "http.response.body", "body": given})


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
    "an answer in chunks": b"GET /chunked HTTP/1.1\r\nHost: a\r\n\r\n",
    "no body is asked for": b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
    "the client waits to be told to send": (
        b"PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n{}"
    ),
    "requests that follow at once": b"".join(
        b"POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx" % number
        for number in range(5)
    ),
    "a body larger than what is read ahead": (
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n" + b"x" * 300_000
    ),
}


def without_date(answer: bytes) -> bytes:
    return re.sub(rb"date: [^\r]+\r\n", b"", answer)


def seen_and_answered(
    protocol: type[asyncio.Protocol], data: bytes, step: int
) -> tuple[list[tuple[dict[str, Any], bytes]], bytes]:
    recorder = Recorder()
    answered = exchanged(recorder, data, step, protocol)
    return recorder.seen, without_date(answered)


@pytest.mark.parametrize("last", [LAST, b"GET / HTTP/1.0\r\n\r\n"], ids=["1.1", "1.0"])
@pytest.mark.parametrize("data", REQUESTS.values(), ids=REQUESTS)
def test_a_request_is_seen_and_answered_as_by_uvicorn(data: bytes, last: bytes) -> None:
    plain = seen_and_answered(HttpToolsProtocol, data + last, AT_ONCE)
    assert len(plain[0]) > 1
    assert seen_and_answered(Protocol, data + last, AT_ONCE) == plain


@pytest.mark.parametrize("name", list(REQUESTS)[:-1])
def test_a_request_that_comes_byte_by_byte_is_seen_and_answered_as_by_uvicorn(name: str) -> None:
    data = REQUESTS[name] + LAST
    plain = seen_and_answered(HttpToolsProtocol, data, BYTE_BY_BYTE)
    assert len(plain[0]) > 1
    assert seen_and_answered(Protocol, data, BYTE_BY_BYTE) == plain


class Both:
    """Gives the same answer by a call and as ASGI."""

    called = 0

    def handle_fast(
        self, headers: Any, body: bytes, answered: Callable[[HttpResponse], None]
    ) -> bool:
        self.called += 1
        answered(ANSWER)
        return True

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        start = {"type": "http.response.start", "status": ANSWER.status, "headers": ANSWER.asgi()}
        await send(start)
        await send({"type": "http.response.body", "body": ANSWER.body})


def parts(answers: bytes) -> list[tuple[bytes, list[bytes], bytes]]:
    """Return the first line, the sorted headers and the body of each answer."""
    found = []
    for answer in without_date(answers).split(b"HTTP/1.1 ")[1:]:
        head, _, body = answer.partition(b"\r\n\r\n")
        first, *headers = head.split(b"\r\n")
        found.append((first, sorted(headers), body))
    return found


@pytest.mark.parametrize("last", [b"Connection: close\r\n", b"Connection: Close, x\r\n"])
def test_an_answer_by_a_call_is_written_as_uvicorn_writes_it(last: bytes) -> None:
    post = b"POST /v1/attributions HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n%b\r\n{}"
    data = post % b"" + post % last
    ours, plain = Both(), Both()
    answered = exchanged(ours, data)
    assert (ours.called, plain.called) == (2, 0)
    assert len(parts(answered)) == 2
    assert parts(answered) == parts(exchanged(plain, data, protocol=HttpToolsProtocol))
