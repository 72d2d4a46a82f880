"""Requests as bytes: well-formed, malformed and endless requests."""

from __future__ import annotations

import socket
from collections.abc import Iterator

from tests.parts import Stack


def exchanged(stack: Stack, data: bytes) -> bytes:
    """Sends ``data``, and returns all bytes that the api answers until it closes the connection."""
    address = ("127.0.0.1", int(stack.env["BYLINE_API_PORT"]))
    with socket.create_connection(address, 20) as client:
        client.sendall(data)
        return b"".join(iter(lambda: client.recv(1 << 16), b""))


def post(*fields: bytes, body: bytes = b"{}", version: bytes = b"1.1", query: bytes = b"") -> bytes:
    first = b"POST /v1/attributions%b HTTP/%b" % (query, version)
    own = (b"Host: a", b"Authorization: Bearer free", b"Content-Type: application/json")
    return b"\r\n".join([first, *own, *fields, b"", body])


def get(*lines: bytes, first: bytes = b"GET /healthz HTTP/1.1") -> bytes:
    return b"\r\n".join([first, *lines, b"", b""])


HOST = b"Host: a"
CHUNKED = b"Transfer-Encoding: chunked"
LENGTH = b"Content-Length: 2"
MALFORMED = {
    "no host": (get(), 400),
    "two hosts": (get(HOST, b"host: b"), 400),
    "two keys": (post(LENGTH, b"authorization: Bearer other"), 400),
    "two types": (post(LENGTH, b"content-type: text/plain"), 400),
    "two lengths": (post(LENGTH, b"Content-Length: 3"), 400),
    "a length twice": (post(LENGTH, LENGTH), 400),
    "a list of lengths": (post(b"Content-Length: 2, 2"), 400),
    "a long length": (post(b"Content-Length: 99999999999999999999"), 400),
    "a length below zero": (post(b"Content-Length: -2"), 400),
    "a length with a sign": (post(b"Content-Length: +2"), 400),
    "length and chunks": (post(LENGTH, CHUNKED, body=b"0\r\n\r\n"), 400),
    "chunks and length": (post(CHUNKED, LENGTH, body=b"0\r\n\r\n"), 400),
    "compressed chunks": (post(b"Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"), 501),
    "no chunks": (post(b"Transfer-Encoding: identity"), 501),
    "chunks twice": (post(b"Transfer-Encoding: chunked, chunked", body=b"0\r\n\r\n"), 400),
    "chunks in HTTP/1.0": (post(CHUNKED, body=b"0\r\n\r\n", version=b"1.0"), 400),
    "a chunk too long": (post(CHUNKED, body=b"1" + b"0" * 16 + b"\r\n{}"), 400),
    "a chunk below zero": (post(CHUNKED, body=b"-1\r\n{}"), 400),
    "HTTP/0.9": (get(first=b"GET /healthz"), 505),
    "HTTP/2.0": (get(HOST, first=b"GET /healthz HTTP/2.0"), 505),
    "HTTP/1.2": (get(HOST, first=b"GET /healthz HTTP/1.2"), 400),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "TLS": (bytes.fromhex("16030100c8010000c40303") + bytes(range(100)), 400),
    "CONNECT": (get(HOST, first=b"CONNECT a:80 HTTP/1.1"), 400),
    "a folded field": (get(HOST, b"X: a", b" b"), 400),
    "a space before the colon": (get(b"Host : a"), 400),
    "no name": (get(HOST, b": a"), 400),
    "a zero byte": (get(HOST, b"X: a\0b"), 400),
    "a zero byte in the path": (get(HOST, first=b"GET /\0 HTTP/1.1"), 400),
    "a bare line feed": (b"GET /healthz HTTP/1.1\nHost: a\n\n", 400),
    "a bare carriage return": (get(HOST, b"X: a\rb"), 400),
    "an odd expectation": (post(LENGTH, b"Expect: cake"), 417),
}
CODES = {
    400: "bad_request",
    417: "expectation_failed",
    501: "not_supported",
    505: "version_not_supported",
}


def endless(first: bytes, more: bytes, size: int) -> Iterator[bytes]:
    yield first
    piece = more * max(1, 65_536 // len(more))
    for _ in range(size // len(piece)):
        yield piece


START = b"GET /healthz HTTP/1.1\r\nHost: a\r\n"
POST = b"POST /v1/attributions HTTP/1.1\r\nHost: a\r\n" + CHUNKED + b"\r\n"
FREE = b"Authorization: Bearer free\r\n"
FLOODS = {
    "one header": (START + b"X: ", b"x"),
    "short headers": (START, b"a: b\r\n"),
    "a URL": (b"GET /", b"x"),
    "empty lines": (b"", b"\r\n"),
    "a chunk's extension": (POST + FREE + b"\r\n1;", b"x"),
    "trailers": (POST + FREE + b"\r\n2\r\n{}\r\n0\r\n", b"a: b\r\n"),
    "a body without a key": (POST + b"\r\n", b"ffff\r\n" + b"x" * 65_535 + b"\r\n"),
    "nonsense": (b"\0", b"x"),
}
