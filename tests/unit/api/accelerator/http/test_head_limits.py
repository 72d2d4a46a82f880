"""Limits of the size of heads, chunk sizes and trailers: bytes sent to a real server."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest

from api.accelerator.http.head_limits import MAX_FIELDS, MAX_FRAMING_BYTES, MAX_HEAD_BYTES
from tests.unit.api.accelerator.serving import (
    CHUNKED,
    LAST,
    all_of,
    application,
    check_problem,
    connect,
    echo,
    exchanged,
    served,
)

HEADERS = "headers_too_large"


def head(fields: Sequence[bytes], url: bytes = b"/") -> bytes:
    return b"\r\n".join([b"GET %b HTTP/1.1" % url, b"host: a", *fields, b"", b""])


def of_size(size: int) -> bytes:
    """Return a head of one URL and two fields that counts as so many bytes."""
    return head([b"x: " + b"y" * (size - len("/") - len("hosta") - len("x") - 8)])


@pytest.mark.parametrize("step", [500, 5000, 1 << 20])
def test_a_head_of_the_limit_is_taken_and_one_byte_more_is_not(step: int) -> None:
    taken = exchanged(echo, of_size(MAX_HEAD_BYTES) + LAST, step)
    assert taken.count(b"HTTP/1.1 200") == 2
    check_problem(exchanged(echo, of_size(MAX_HEAD_BYTES + 1) + LAST, step), 431, HEADERS)


@pytest.mark.parametrize("step", [500, 1 << 20])
def test_as_many_fields_as_may_be_are_taken_and_one_more_is_not(step: int) -> None:
    fields = [b"a%d: b" % number for number in range(MAX_FIELDS)]
    taken = exchanged(echo, head(fields[1:]) + LAST, step)
    assert b"%d headers" % MAX_FIELDS in taken
    check_problem(exchanged(echo, head(fields) + LAST, step), 431, HEADERS)


@pytest.mark.parametrize(
    ("begin", "more"),
    [
        (b"GET / HTTP/1.1\r\nhost: a\r\nx: ", b"y"),
        (b"GET / HTTP/1.1\r\nhost: a\r\nx:", b" "),
        (b"GET / HTTP/1.1\r\nhost: a\r\n", b"a:\r\n"),
        (b"GET / HTTP/1.1\r\nhost: a\r\n", b"x"),
        (b"GET /", b"y"),
        (b"", b"\r\n"),
        (CHUNKED + b"1;", b"x"),
        (CHUNKED + b"1", b" "),
        (CHUNKED + b"1\r\nx\r\n0\r\n", b"a: b\r\n"),
        (CHUNKED + b"1\r\nx\r\n0\r\na: ", b"b"),
    ],
)
def test_what_never_ends_is_refused_before_it_has_come(begin: bytes, more: bytes) -> None:
    step = more * (1000 // len(more))
    with served(echo) as (_, port), connect(port) as client:
        client.sendall(begin)
        client.setblocking(False)
        sent, received = 0, b""
        until = time.monotonic() + 20
        while not received and sent < 3 * MAX_HEAD_BYTES and time.monotonic() < until:
            try:
                sent += client.send(step)
                received = client.recv(1 << 16)
            except BlockingIOError:
                time.sleep(0.002)  # so that the server sees that it comes bit by bit
        client.setblocking(True)
        client.settimeout(10)
        received += all_of(client)
    assert sent < 3 * MAX_HEAD_BYTES
    if more == b" " and begin.startswith(CHUNKED):
        check_problem(received, 400, "bad_request")  # no space may be there at all
    else:
        check_problem(received, 431, HEADERS)


def test_each_request_is_counted_anew() -> None:
    data = of_size(MAX_HEAD_BYTES - 10) * 3 + LAST
    assert exchanged(echo, data, 3000).count(b"HTTP/1.1 200") == 4


@pytest.mark.parametrize("step", [7000, 1 << 20])
def test_small_chunks_are_no_excess(step: int) -> None:
    body = b"1;a=b\r\nx\r\n" * 10_000 + b"0\r\na: b\r\n\r\n"
    received = exchanged(echo, CHUNKED + body + LAST, step)
    assert b"2 headers, 10000 bytes" in received
    assert b"2 headers, 0 bytes" in received


def test_chunk_sizes_are_counted_together() -> None:
    chunk = b"1;" + b"x" * 1000 + b"\r\ny\r\n"
    check_problem(exchanged(application, CHUNKED + chunk * 100), 431, HEADERS)
    few = chunk * (MAX_FRAMING_BYTES // 1100)
    assert b"HTTP/1.1 204" in exchanged(application, CHUNKED + few + b"0\r\n\r\n" + LAST)


def test_trailers_are_ignored() -> None:
    trailers = b"0\r\nauthorization: x\r\nhost: b\r\ncontent-type: c\r\nlast: d\r\n\r\n"
    received = exchanged(echo, CHUNKED + b"2\r\n{}\r\n" + trailers + LAST)
    assert b"2 headers, 2 bytes" in received  # as before the body
    assert b"2 headers, 0 bytes" in received  # nor are they the next request's


def test_many_trailers_are_refused() -> None:
    few, many = (b"0\r\n" + b"a:\r\n" * number + b"\r\n" for number in (MAX_FIELDS, MAX_FIELDS + 1))
    assert exchanged(echo, CHUNKED + few + LAST).count(b"HTTP/1.1 200") == 2
    check_problem(exchanged(echo, CHUNKED + many + LAST), 431, HEADERS)


def test_chunks_that_used_little_are_no_credit_for_trailers() -> None:
    trailers = b"".join(b"a: %b\r\n" % (b"b" * 1000) for _ in range(MAX_FIELDS - 10))
    assert len(trailers) > 5 * MAX_FRAMING_BYTES
    body = b"1\r\nx\r\n" * 20_000 + b"0\r\n" + trailers + b"\r\n"
    check_problem(exchanged(application, CHUNKED + body + LAST), 431, HEADERS)


@pytest.mark.parametrize("step", [1, 4000])
def test_chunks_may_each_use_all_they_have(step: int) -> None:
    count = 1200
    assert count * 16 > MAX_FRAMING_BYTES
    framing = b"1;" + b"e" * 10 + b"\r\n"
    body = (framing + b"x\r\n") * count + b"0\r\n\r\n"
    assert len(framing + b"\r\n") == 16
    assert b"2 headers, %d bytes" % count in exchanged(echo, CHUNKED + body + LAST, step)
